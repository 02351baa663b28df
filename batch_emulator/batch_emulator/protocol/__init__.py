"""The vocabulary of the Cloud Batch v1 API: messages, resource names, task states and errors."""
