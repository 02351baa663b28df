"""What is checked before anybody relies on the outputs: one finding each, none of which hides a table."""
