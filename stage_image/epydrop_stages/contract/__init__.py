"""What a suite is and what it returns. Imports no other room of ``epydrop_stages``."""
