"""What Batch accepts, and what it makes of it."""
