"""What a suite is, and what it returns."""
