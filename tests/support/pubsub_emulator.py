"""Google's emulator of Pub/Sub, where gcloud brought it along."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PLACE = "platform/pubsub-emulator/lib"
_JAVA = ("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar")
_READY_WITHIN = 60.0  # seconds


def find_jar() -> Path | None:
    """The emulator's program, or None when there is none, or no Java."""
    gcloud = shutil.which("gcloud")
    if gcloud is None or shutil.which("java") is None:
        return None
    roots = [Path(os.environ.get("CLOUDSDK_ROOT_DIR", "/nowhere")), Path(gcloud).resolve().parents[1]]
    roots.append(Path("/usr/lib/google-cloud-sdk"))
    return next((jar for root in roots for jar in (root / _PLACE).glob("cloud-pubsub-emulator-*-all.jar")), None)


@contextmanager
def pubsub_emulator(jar: Path, log: Path) -> Iterator[str]:
    """Its address, while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_JAVA, str(jar), "--host=127.0.0.1", f"--port={port}"], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + _READY_WITHIN
        while "Server started, listening on" not in log.read_text(errors="replace"):
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, "the emulator of Pub/Sub did not start"
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(_READY_WITHIN)
