"""The runnables of a Batch task: planned by the server, carried out in the task's process."""
