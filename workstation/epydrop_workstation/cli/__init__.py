"""The ``epydrop`` command."""
