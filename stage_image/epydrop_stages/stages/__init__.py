"""The three stages and the programs around them: environment, files, workers, records."""
