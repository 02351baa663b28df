"""An emulator of Google Cloud Batch: tasks run as processes on this machine, under Batch's rules."""
