"""The zip around an experiment and its data files: what it may hold, and reading it without unpacking."""
