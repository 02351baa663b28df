"""The steps of a job's tasks: written once by the server, read by every task.

Every task imports this module, so it imports nothing but a few small modules of the standard library.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

SECRETS = "BATCH_EMULATOR_SECRETS"  # the variable with the secrets' values, removed before any step starts


@dataclass(frozen=True)
class Step:
    """A runnable as a command. ``secrets`` maps variables to names of secrets; ``timeout`` is in seconds.

    A step ``in_process`` is ``python -m MODULE`` and runs in the task's own process, a fork of one that has
    imported the module.
    """

    name: str
    command: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    timeout: float | None = None
    background: bool = False
    ignore_exit_status: bool = False
    always_run: bool = False
    in_process: bool = False


def write_plan(path: Path, steps: Sequence[Step]) -> None:
    """Writes a plan atomically, by renaming a complete file."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps([asdict(step) for step in steps]))
    new.replace(path)


def read_plan(path: Path) -> list[Step]:
    """Reads what ``write_plan`` wrote."""
    return [Step(**{**step, "command": tuple(step["command"])}) for step in json.loads(path.read_text())]
