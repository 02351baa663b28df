"""The zip around an experiment and its data files."""
