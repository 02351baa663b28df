"""Jobs: the specification made from orders, and the state that the job service reports."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum

from epydrop.errors import ExitCode
from epydrop.formats import names
from epydrop.formats.names import Stage
from epydrop.formats.orders import Orders, Resources

MAX_TASK_RETRIES = 3

SIGNING_KEY = "EPYDROP_SIGNING_KEY"
GITHUB_PAT = "GITHUB_PAT"  # for the builder, which clones the repository


class JobState(StrEnum):
    """The states of a Cloud Batch job, by Batch's own names."""

    QUEUED = "QUEUED"
    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLATION_IN_PROGRESS = "CANCELLATION_IN_PROGRESS"
    CANCELLED = "CANCELLED"
    DELETION_IN_PROGRESS = "DELETION_IN_PROGRESS"

    @property
    def is_ended(self) -> bool:
        """Whether no task of the job can run any more."""
        return self in _ENDED

    @property
    def is_waiting(self) -> bool:
        """Whether the job still waits for machines."""
        return self in (JobState.QUEUED, JobState.SCHEDULED)


_ENDED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


class TaskExit:
    """The exit codes that Cloud Batch reserves for itself (docs: batch/docs/troubleshooting)."""

    UNKNOWN = 50000
    PREEMPTED = 50001
    REPORTING_TIMEOUT = 50002
    REBOOTED = 50003
    UNRESPONSIVE = 50004
    TIMED_OUT = 50005
    RECREATED = 50006


# Batch retries these by itself, within one job; `causes.py` decides about further attempts, which are new jobs.
RETRIED_BY_BATCH = (
    TaskExit.PREEMPTED,
    TaskExit.REPORTING_TIMEOUT,
    TaskExit.REBOOTED,
    TaskExit.UNRESPONSIVE,
    TaskExit.RECREATED,
    int(ExitCode.TRY_AGAIN),
)


@dataclass(frozen=True)
class JobSpec:
    """One array job: ``task_count`` tasks of the same command, told apart by BATCH_TASK_INDEX."""

    job_id: str
    task_count: int
    parallelism: int
    command: tuple[str, ...]
    env: dict[str, str]
    resources: Resources
    labels: dict[str, str]
    max_task_retries: int = MAX_TASK_RETRIES
    retried_exit_codes: tuple[int, ...] = RETRIED_BY_BATCH
    secrets: tuple[str, ...] = ()  # variables whose values only the job service knows


@dataclass(frozen=True)
class TaskCounts:
    """The number of tasks in each state."""

    pending: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    never_ran: int = 0  # Batch's UNEXECUTED: the job ended before they started

    @property
    def finished(self) -> int:
        """The number of tasks that ran to an end."""
        return self.succeeded + self.failed


@dataclass(frozen=True)
class JobView:
    """A job as the job service reports it. ``uid`` is the id that the service gave it."""

    job_id: str
    uid: str
    state: JobState
    created: datetime
    counts: TaskCounts = field(default_factory=TaskCounts)
    labels: dict[str, str] = field(default_factory=dict)
    detail: str = ""  # the service's last status message, for people

    @property
    def is_idle(self) -> bool:
        """Whether the job has begun and has tasks to do, and none of them runs: there is no machine for them."""
        return self.state is JobState.RUNNING and not self.counts.running and bool(self.counts.pending)


@dataclass(frozen=True)
class TaskEnd:
    """A task that did not succeed: its position in the job, and the exit code of its last try, if there was one."""

    position: int
    exit_code: int | None


def job_spec(
    orders: Orders,
    run_url: str,
    orders_sha256: str,
    *,
    experiment_sha256: str = "",
    dropped_md5: str = "",
    max_silence: int | None = None,
) -> JobSpec:
    """The job specification for these orders; deterministic.

    The digests are those of stored files that nobody signs: the orders (hex) and, for the builder, the resolved
    experiment (hex) and the dropped file (base64), empty if unknown. Only the functions can set variables of a job.
    ``max_silence``: seconds without any sign of life after which a task ends itself, to be retried; None means never.
    """
    env = {"EPYDROP_RUN_URL": run_url, "EPYDROP_ATTEMPT": str(orders.attempt), "EPYDROP_ORDERS_SHA256": orders_sha256}
    env["EPYDROP_MAX_SILENCE"] = str(max_silence or "")
    if orders.stage is Stage.BUILDER:  # later stages find them in the manifest, which the builder signs
        env |= {"EPYDROP_EXPERIMENT_SHA256": experiment_sha256, "EPYDROP_DROPPED_MD5": dropped_md5}
    labels = dict(orders.labels)
    labels["orders"] = orders_digest(orders)
    return JobSpec(
        job_id=names.job_id(orders.stage, orders.run_id, orders.attempt),
        task_count=len(orders.indices),
        parallelism=min(orders.parallelism, len(orders.indices)),
        command=("python", "-m", "epydrop_stages", str(orders.stage)),
        env={name: value for name, value in env.items() if value},
        resources=orders.resources,
        labels=labels,
        secrets=(SIGNING_KEY, GITHUB_PAT) if orders.stage is Stage.BUILDER else (SIGNING_KEY,),
    )


def orders_digest(orders: Orders) -> str:
    """A label value that identifies the orders of a job, so that an existing job can be checked against them."""
    text = json.dumps(asdict(orders), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
