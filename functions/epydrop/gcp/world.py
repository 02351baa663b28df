"""The world in Google Cloud: the only place that picks its adapters and makes Google's clients."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from google.cloud.firestore import Client as FirestoreClient
from google.cloud.pubsub_v1 import PublisherClient

from epydrop.gcp.batch_client import batch_client
from epydrop.gcp.batch_request import Surroundings
from epydrop.gcp.console import signposts
from epydrop.gcp.job_service import BatchJobService
from epydrop.gcp.publisher import PubSubPublisher
from epydrop.gcp.run_store import FirestoreRunStore
from epydrop.service.world import World
from epydrop.settings import read_cloud_settings
from epydrop.stores import open_store
from epydrop.stores.cloud_storage import GcsObjectStore, storage_client


def cloud_world(variables: Mapping[str, str]) -> World:
    """The world that these settings describe. Raises ConfigurationError with all that are missing or malformed."""
    settings = read_cloud_settings(variables)
    return World(
        settings=settings,
        runs=FirestoreRunStore(FirestoreClient(project=settings.project, database=settings.database)),
        trigger=GcsObjectStore(storage_client(), settings.trigger_bucket),
        jobs=BatchJobService(
            batch_client(settings.batch_endpoint),
            f"projects/{settings.project}/locations/{settings.region}",
            Surroundings.of(settings),
        ),
        publisher=PubSubPublisher(PublisherClient(), {"kicks": settings.kick_topic, "runs": settings.runs_topic}),
        open_store=open_store,
        now=lambda: datetime.now(UTC),
        sleep=time.sleep,
        signposts=partial(signposts, settings),
    )
