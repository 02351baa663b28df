"""What comes in besides artifacts: data files, observations, repositories."""
