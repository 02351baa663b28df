"""YAML text to values with their lines and columns, problems at those positions, and values back to YAML."""
