"""The Cloud Batch v1 API on this machine: gRPC and REST in front of local processes. ``server.serve`` starts it."""
