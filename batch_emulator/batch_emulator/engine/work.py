"""What the supervisor has to know of a job to run it, in whatever form the job was asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from batch_emulator.engine.faults import TaskFaults
from batch_emulator.engine.jobs import JobState


@dataclass(frozen=True)
class Retries:
    """Which failures are retried: those with one of ``exit_codes`` or, with ``all_but``, with any other code."""

    at_most: int
    exit_codes: frozenset[int] = frozenset()
    all_but: bool = False

    def follow(self, exit_code: int, retry: int) -> bool:
        """Whether a try, counted from 0, that failed with this exit code is followed by another."""
        return retry < self.at_most and (exit_code in self.exit_codes) is not self.all_but


@dataclass(frozen=True)
class Hold:
    """A job that is kept waiting: in which state, and until when in seconds since 1970."""

    state: JobState
    until: float = math.inf


@dataclass(frozen=True)
class Work:
    """A job to be run: ``max_run_duration`` in seconds per try, ``memory_mib`` per task.

    ``env`` is for every task, ``task_env[position]`` for one of them; ``task_env`` is empty or has one entry for
    each task. Both may hold secrets, so neither is printed. Jobs of a higher ``priority`` start their tasks first;
    among equals, the older job does.
    """

    job_id: str
    task_count: int
    parallelism: int
    command: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    memory_mib: int
    max_run_duration: float
    retries: Retries
    task_env: Sequence[Mapping[str, str]] = field(default=(), repr=False)
    priority: int = 0
    hold: Hold | None = None
    faults: TaskFaults = field(default_factory=TaskFaults)

    def environment(self, position: int, retry: int) -> dict[str, str]:
        """The variables of one try of a task, beside those of every process."""
        return {
            **self.env,
            **(self.task_env[position] if self.task_env else {}),
            "BATCH_TASK_INDEX": str(position),
            "BATCH_TASK_COUNT": str(self.task_count),
            "BATCH_TASK_RETRY_ATTEMPT": str(retry),
        }
