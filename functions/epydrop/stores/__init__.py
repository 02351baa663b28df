"""Where objects lie: the port, Cloud Storage, and a folder."""
