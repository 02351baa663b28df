"""What runs on a person's machine: the command, the local cloud, and deploying."""
