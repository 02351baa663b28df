"""What Batch accepts as a job, and the defaults it fills in."""
