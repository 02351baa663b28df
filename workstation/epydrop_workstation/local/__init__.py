"""The cloud on one machine: SQLite, files, processes."""
