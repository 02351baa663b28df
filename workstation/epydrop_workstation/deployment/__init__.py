"""A deployment in a Google Cloud project: what it should be like, and what ``epydrop doctor`` finds it to be."""
