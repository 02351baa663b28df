"""The Cloud Batch v1 API over gRPC and REST."""
