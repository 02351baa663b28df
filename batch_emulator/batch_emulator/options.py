"""The options of a server, and the notifications that it publishes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from batch_emulator.engine.options import usable_cores


@dataclass(frozen=True)
class Notification:
    """A message that Batch sends to a topic. Programs read the attributes; ``data`` is text for people."""

    topic: str  # projects/{project}/topics/{topic}
    attributes: Mapping[str, str]
    data: bytes


Publish = Callable[[Notification], None]


@dataclass(frozen=True)
class ServerOptions:
    """How a server is started.

    ``state``: the folder for jobs, tasks and logs; a server started with it again continues its jobs.
    ``grpc_port``, ``rest_port``: 0 means any free port.
    ``parallelism``: tasks at a time, over all jobs.
    ``env``: variables for every task, beside those of its job.
    ``secrets``: values of Secret Manager's secrets by full name, projects/P/secrets/S/versions/V.
    ``entrypoints``: what an image runs if its job gives arguments only.
    ``preload``: Python modules to import once; ``python -m MODULE`` then starts in milliseconds.
    ``publish``: called with every notification, on a thread of its own; an exception means "retry later". By
    default notifications go to the emulator at PUBSUB_EMULATOR_HOST, or to ``notifications.jsonl`` in the folder.
    ``faults``: faults for all jobs, {"preempt": "0-3x2", "drop": "50"}, as in docs/batch-emulator.md.
    """

    state: Path
    grpc_port: int = 0
    rest_port: int = 0
    parallelism: int = field(default_factory=usable_cores)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold secrets, too
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    entrypoints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    preload: tuple[str, ...] = ()
    publish: Publish | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
