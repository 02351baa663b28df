"""A deployment in a Google Cloud project: its expected state, and the checks of ``epydrop doctor``."""
