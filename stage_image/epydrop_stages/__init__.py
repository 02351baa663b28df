"""What runs inside a task: the builder, the runner and the output stage."""
