"""A deployment in small: Google's emulators, the functions under functions-framework, and the emulator of Batch.

The emulators are shared; each deployment has a project, a database, buckets, topics and functions of its own.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from google.cloud.firestore import Client as FirestoreClient
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.cloud.storage import Client as StorageClient

from batch_emulator.options import ServerOptions
from batch_emulator.server import Served, serve
from epydrop.core.run import Run
from epydrop.formats import names
from epydrop.gcp.run_store import FirestoreRunStore
from epydrop_workstation.local.signing_key import signing_keys
from support import emulators
from support.gcs_proxy import Proxy
from support.paths import ROOT
from support.postman import Postman
from support.servers import HOST, Server, served

FUNCTIONS = ROOT / "functions" / "main.py"
MORTAL_FUNCTIONS = Path(__file__).with_name("mortal_functions.py")
ENTRY_POINTS = {"objects": "on_object_finalized", "jobs": "on_job_state_changed", "kicks": "on_kick"}

EVENTS_PROJECT = "demo-events"
EVENTS_TOPIC = "gcs-events"
ACK_DEADLINE = 600  # seconds; a slow machine must not look like a lost delivery
PATIENCE = 1500.0  # only a hang takes so long

_numbers = itertools.count(1)


@dataclass
class Emulated:
    """The emulators, shared by all deployments."""

    firestore: Server
    pubsub: Server
    storage: Proxy

    @property
    def variables(self) -> dict[str, str]:
        """What makes Google's libraries find them."""
        return {
            "FIRESTORE_EMULATOR_HOST": self.firestore.address,
            "PUBSUB_EMULATOR_HOST": self.pubsub.address,
            "STORAGE_EMULATOR_HOST": self.storage.url,
        }


@contextmanager
def emulated() -> Iterator[Emulated]:
    """The emulators; within the block this process's own clients find them too."""
    with emulators.pubsub() as pubsub, emulators.firestore() as firestore, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBSUB_EMULATOR_HOST", pubsub.address)
        PublisherClient().create_topic(name=f"projects/{EVENTS_PROJECT}/topics/{EVENTS_TOPIC}")
        with emulators.cloud_storage(pubsub, EVENTS_PROJECT, EVENTS_TOPIC) as storage:
            found = Emulated(firestore, pubsub, storage)
            for name, value in found.variables.items():
                patch.setenv(name, value)
            yield found


@dataclass
class Deployment:
    """One deployment, and what people do with it."""

    project: str
    settings: dict[str, str]
    storage: StorageClient
    publisher: PublisherClient
    runs: FirestoreRunStore
    batch: Served
    postman: Postman
    functions: dict[str, Server] = field(default_factory=dict)

    @property
    def trigger(self) -> str:
        """The trigger bucket."""
        return self.settings["EPYDROP_TRIGGER_BUCKET"]

    def drop(self, text: str | bytes, name: str) -> str:
        """Uploads a file; returns the id of the run that an experiment starts."""
        blob = self.storage.bucket(self.trigger).blob(name)
        blob.upload_from_string(text)
        return names.run_id_of(self.trigger, name, int(blob.generation), blob.time_created)

    def kick(self, message: Mapping[str, Any]) -> None:
        """Publishes a message to the kick topic."""
        data = json.dumps(message).encode()
        self.publisher.publish(self.settings["EPYDROP_KICK_TOPIC"], data).result(PATIENCE)

    def read(self, name: str) -> bytes | None:
        """An object of the trigger bucket, or None."""
        blob = self.storage.bucket(self.trigger).get_blob(name)
        data: bytes | None = blob and blob.download_as_bytes()
        return data

    def reply(self, run: Run, suffix: str = "md") -> str:
        """The reply beside the file that started the run."""
        return (self.read(names.reply_name(run.dropped.name, run.run_id, suffix)) or b"").decode()

    def run(self, run_id: str) -> Run | None:
        """The run as it is stored."""
        stored = self.runs.load(run_id)
        return stored.run if stored else None

    def settled(self, run_id: str, again: Callable[[], object] = str, patience: float = PATIENCE) -> Run:
        """The run, once it has ended and everything is reported; ``again`` is called each time that it has not."""

        def is_settled() -> Run | None:
            run = self.run(run_id)
            return run if run and not run.phase.is_open and not run.unsettled else None

        return until(is_settled, self.log, again, patience)

    def log(self) -> str:
        """The last lines of the functions' logs."""
        tails = (server.log.read_text(errors="replace")[-3000:] for server in self.functions.values())
        return "\n".join(tails)


def until(
    condition: Callable[[], Any],
    why: Callable[[], str] = str,
    again: Callable[[], object] = str,
    patience: float = PATIENCE,
) -> Any:
    """Waits for what the condition gives, calling ``again`` meanwhile; says why not when it takes too long."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, f"it did not happen\n{why()}"
        again()
        time.sleep(0.2)
    return found


@contextmanager
def deployed(
    folder: Path,
    around: Emulated,
    *,
    source: Path = FUNCTIONS,
    variables: Mapping[str, str] | None = None,
    copies: int = 1,
    faults: Mapping[str, str] | None = None,
    parallelism: int = 2,
) -> Iterator[Deployment]:
    """A deployment of its own. ``copies``: deliveries of each message; ``faults``: what Batch injects."""
    project = f"demo-p{os.getpid()}-{next(_numbers)}"
    settings = settings_of(project)
    with ExitStack() as stack:
        storage = StorageClient(project=project)
        for bucket in (settings["EPYDROP_TRIGGER_BUCKET"], f"{project}-data"):
            storage.create_bucket(bucket)
        publisher = PublisherClient()
        stack.callback(publisher.stop)
        for name in ("kick", "batch", "runs"):
            publisher.create_topic(name=settings[f"EPYDROP_{name.upper()}_TOPIC"])
        firestore = FirestoreClient(project=project, database=settings["EPYDROP_DATABASE"])
        stack.callback(firestore.close)
        options = ServerOptions(
            folder / "batch",
            parallelism=parallelism,
            env={"STORAGE_EMULATOR_HOST": around.storage.url},
            secrets={settings["EPYDROP_SIGNING_KEY_SECRET"]: _signing_key(folder)},
            preload=("epydrop_stages", "epydrop.stores.cloud_storage"),
            faults=faults or {},
        )
        batch = stack.enter_context(serve(options))
        environment = {
            **settings,
            **around.variables,
            "EPYDROP_BATCH_ENDPOINT": f"grpc://{batch.grpc_address}",
            "PYTHONPATH": str(ROOT / "tests"),
            "PYTHONUNBUFFERED": "1",
            **(variables or {}),
        }
        functions = {
            kind: stack.enter_context(_function(name, source, environment)) for kind, name in ENTRY_POINTS.items()
        }
        postman = Postman({kind: server.url for kind, server in functions.items()}, f"{project}-trigger", copies)
        stack.enter_context(postman)
        stack.enter_context(_subscribed(project, settings, postman))
        runs = FirestoreRunStore(firestore)
        yield Deployment(project, settings, storage, publisher, runs, batch, postman, functions)


def settings_of(project: str) -> dict[str, str]:
    """The settings that terraform would give the functions."""
    return {
        "EPYDROP_PROJECT": project,
        "EPYDROP_REGION": "us-east1",
        "EPYDROP_ENVIRONMENT": "test",
        "EPYDROP_DATA_URL": f"gs://{project}-data/epydrop/",
        "EPYDROP_TRIGGER_BUCKET": f"{project}-trigger",
        "EPYDROP_IMAGE": f"sha256:{'0' * 64}",
        "EPYDROP_IMAGE_REPOSITORY": f"us-east1-docker.pkg.dev/{project}/epydrop/stage",
        "EPYDROP_DATABASE": "epydrop",
        "EPYDROP_KICK_TOPIC": f"projects/{project}/topics/epydrop-kicks",
        "EPYDROP_BATCH_TOPIC": f"projects/{project}/topics/epydrop-batch",
        "EPYDROP_RUNS_TOPIC": f"projects/{project}/topics/epydrop-runs",
        "EPYDROP_BATCH_SERVICE_ACCOUNT": f"epydrop-batch@{project}.iam.gserviceaccount.com",
        "EPYDROP_NETWORK": f"projects/{project}/global/networks/epydrop",
        "EPYDROP_SUBNETWORK": f"projects/{project}/regions/us-east1/subnetworks/epydrop",
        "EPYDROP_SIGNING_KEY_SECRET": f"projects/{project}/secrets/epydrop-signing-key/versions/1",
        "EPYDROP_ACCEPT_FROM": "2026-01-01T00:00:00Z",
    }


def _signing_key(folder: Path) -> str:
    place = folder / "key"
    place.mkdir(parents=True)
    return signing_keys(place)


def _function(name: str, source: Path, variables: Mapping[str, str]) -> Any:
    """One function as its own server, as Cloud Run would start it."""
    return served(
        lambda port: [
            *(sys.executable, "-m", "functions_framework", "--target", name, "--source", source),
            *("--signature-type", "cloudevent", "--host", HOST, "--port", port),
        ],
        variables=variables,
    )


@contextmanager
def _subscribed(project: str, settings: Mapping[str, str], postman: Postman) -> Iterator[None]:
    """Pushes to the functions; the path says from which topic a message comes.

    The subscriptions end with the deployment: the emulator would go on to push to where nobody listens any more.
    """
    topics = {
        "objects": f"projects/{EVENTS_PROJECT}/topics/{EVENTS_TOPIC}",
        "jobs": settings["EPYDROP_BATCH_TOPIC"],
        "kicks": settings["EPYDROP_KICK_TOPIC"],
    }
    names_of = {kind: f"projects/{project}/subscriptions/push-{kind}" for kind in topics}
    with SubscriberClient() as subscriber:
        for kind, topic in topics.items():
            subscriber.create_subscription(
                request={
                    "name": names_of[kind],
                    "topic": topic,
                    "ack_deadline_seconds": ACK_DEADLINE,
                    "push_config": {"push_endpoint": f"{postman.url}/{kind}/{topic}"},
                }
            )
        try:
            yield
        finally:
            for name in names_of.values():
                subscriber.delete_subscription(subscription=name)
