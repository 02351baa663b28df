"""One suite for each port: every promise of the port, tried on every adapter."""
