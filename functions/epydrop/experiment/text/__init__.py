"""YAML with its lines: where a value stands, what is wrong with it, and how it is written back."""
