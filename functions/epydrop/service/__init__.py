"""The imperative shell: all that acts, through ports."""
