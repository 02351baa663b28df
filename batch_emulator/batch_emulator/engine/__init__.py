"""Jobs and tasks as processes under the rules of Batch; uses the standard library and psutil only."""
