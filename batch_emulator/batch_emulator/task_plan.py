"""What each task of a job does, step by step: written by the server for the job, read by every task of it.

Known to both sides, so it imports nothing but the standard library.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

SECRETS = "EPYDROP_BATCH_SECRETS"  # the variable that carries the secrets' values; no step sees it


@dataclass(frozen=True)
class Step:
    """A runnable as a command. ``secrets`` are variables whose values come from the secret of that name.

    A step ``in_process`` is ``python -m MODULE`` and runs where the module has been imported already.
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
    """The plan appears whole, or not at all."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps([asdict(step) for step in steps]))
    new.replace(path)


def read_plan(path: Path) -> list[Step]:
    """What ``write_plan`` wrote."""
    return [Step(**{**step, "command": tuple(step["command"])}) for step in json.loads(path.read_text())]
