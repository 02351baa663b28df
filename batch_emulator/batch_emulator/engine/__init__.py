"""Jobs and tasks as processes, under the rules of Batch."""
