"""What is published: tables, hub files, quality checks, the report."""
