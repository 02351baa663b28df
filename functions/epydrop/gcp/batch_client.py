"""Google's client of Cloud Batch, or the same client talking to an emulator.

The libraries of Firestore, Pub/Sub and Cloud Storage honour FIRESTORE_EMULATOR_HOST, PUBSUB_EMULATOR_HOST and
STORAGE_EMULATOR_HOST by themselves. For Batch there is no such variable; the setting EPYDROP_BATCH_ENDPOINT stands in:
``grpc://HOST:PORT`` for plain gRPC or ``http://HOST:PORT`` for REST, both without credentials.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud.batch_v1 import BatchServiceClient
from google.cloud.batch_v1.services.batch_service.transports import BatchServiceGrpcTransport

from epydrop.errors import ConfigurationError


def batch_client(endpoint: str = "") -> BatchServiceClient:
    """The client of Cloud Batch itself, or of the endpoint. Raises ConfigurationError for one of another form."""
    if not endpoint:
        return BatchServiceClient()
    parts = urlsplit(endpoint)
    if not parts.netloc or parts.path:
        raise ConfigurationError(
            f"EPYDROP_BATCH_ENDPOINT is {endpoint!r}, expected grpc://HOST:PORT or http://HOST:PORT"
        )
    match parts.scheme:
        case "grpc":
            return BatchServiceClient(transport=BatchServiceGrpcTransport(channel=grpc.insecure_channel(parts.netloc)))
        case "http":
            options = {"api_endpoint": endpoint}
            return BatchServiceClient(transport="rest", credentials=AnonymousCredentials(), client_options=options)
        case _:
            raise ConfigurationError(
                f"EPYDROP_BATCH_ENDPOINT is {endpoint!r}, expected it to begin with grpc:// or http://"
            )
