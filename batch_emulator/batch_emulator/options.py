"""What the person who starts the emulator chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from batch_emulator.engine.options import usable_cores


@dataclass(frozen=True)
class Notification:
    """A message that Batch sends to the topic a job names: its attributes say all; ``data`` is text for people."""

    topic: str  # projects/{project}/topics/{topic}
    attributes: Mapping[str, str]
    data: bytes


Publish = Callable[[Notification], None]


@dataclass(frozen=True)
class ServerOptions:
    """How the emulator is started.

    ``state`` is the folder of jobs, tasks and logs: started again with it, the server goes on where it stopped.
    A port of 0 is one that is free. ``parallelism`` is the number of tasks at a time, of all jobs together.
    ``env`` is what every task has beside what its job gives it. ``secrets`` are the values of Secret Manager's
    versions by their full names. ``entrypoints`` say what an image runs that a job gives only arguments for.
    ``preload`` names Python modules that tasks begin with: imported once, then ``python -m MODULE`` starts in
    milliseconds. ``publish`` gets every notification, on a thread of its own; what it raises means "later again".
    Without it they go to the emulator at PUBSUB_EMULATOR_HOST, else into ``notifications.jsonl`` in the folder.
    ``mischief`` are the words of the page docs/batch-emulator.md, for all jobs: {"preempt": "0-3x2", "drop": "50"}.
    """

    state: Path
    grpc_port: int = 0
    rest_port: int = 0
    parallelism: int = field(default_factory=usable_cores)
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    entrypoints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    preload: tuple[str, ...] = ()
    publish: Publish | None = None
    mischief: Mapping[str, str] = field(default_factory=dict)
