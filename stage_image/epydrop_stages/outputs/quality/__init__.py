"""Quality checks of what is published. A finding marks a run; it never withholds a table."""
