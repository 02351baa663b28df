"""What one machine must know of a job to run it, whoever asked for the job and in whatever form."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from batch_emulator.engine.faults import Trouble
from batch_emulator.engine.options import Options
from epydrop.core.jobs import JobSpec, JobState


@dataclass(frozen=True)
class Retries:
    """Which tries are followed by another: at most so many, after these exit codes or, with ``all_but``, any other."""

    at_most: int
    exit_codes: frozenset[int] = frozenset()
    all_but: bool = False

    def follow(self, exit_code: int, retry: int) -> bool:
        """Whether a try, counted from 0, that failed so is followed by another."""
        return retry < self.at_most and (exit_code in self.exit_codes) is not self.all_but


@dataclass(frozen=True)
class Hold:
    """A job kept waiting on purpose, in which state and until when; seconds since 1970."""

    state: JobState
    until: float = math.inf


@dataclass(frozen=True)
class Work:
    """A job to be run. ``env`` is for every task, ``task_env`` for each its own; seconds per try, MiB per task.

    Jobs of a higher ``priority`` start their tasks first, among equals the older.
    """

    job_id: str
    task_count: int
    parallelism: int
    command: tuple[str, ...]
    env: Mapping[str, str]
    memory_mib: int
    max_run_duration: float
    retries: Retries
    task_env: Sequence[Mapping[str, str]] = ()
    priority: int = 0
    hold: Hold | None = None
    trouble: Trouble = field(default_factory=Trouble)

    def environment(self, position: int, retry: int) -> dict[str, str]:
        """What a try of a task has beside what every process has."""
        return {
            **self.env,
            **(self.task_env[position] if self.task_env else {}),
            "BATCH_TASK_INDEX": str(position),
            "BATCH_TASK_COUNT": str(self.task_count),
            "BATCH_TASK_RETRY_ATTEMPT": str(retry),
        }


def work_of(spec: JobSpec, options: Options) -> Work:
    """The work of one of our own jobs, whose stages share the cores."""
    return Work(
        job_id=spec.job_id,
        task_count=spec.task_count,
        parallelism=spec.parallelism,
        command=spec.command,
        env={**spec.env, "EPYDROP_CORES": str(options.cores)},
        memory_mib=spec.resources.memory_mib,
        max_run_duration=spec.resources.max_run_duration,
        retries=Retries(spec.max_task_retries, frozenset(spec.retried_exit_codes)),
        trouble=options.trouble,
    )
