"""What the API stores beside the engine's jobs and tasks: names, events, operations, requests, notifications."""
