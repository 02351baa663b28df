"""What the API remembers: jobs, events, operations, notifications."""
