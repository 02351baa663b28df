"""Jobs and tasks in Cloud Batch's terms: states, counts, exit codes and limits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_TASKS = 100_000  # of one task group (docs: batch/quotas)

OUT_OF_MEMORY = 137  # 128 + SIGKILL: what a container killed by the kernel's OOM killer ends with


class JobState(StrEnum):
    """The states of a job, by the names of google.cloud.batch.v1.JobStatus.State."""

    QUEUED = "QUEUED"
    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLATION_IN_PROGRESS = "CANCELLATION_IN_PROGRESS"
    CANCELLED = "CANCELLED"
    DELETION_IN_PROGRESS = "DELETION_IN_PROGRESS"

    @property
    def is_final(self) -> bool:
        """Whether no task of the job can run any more."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


LIVE_STATES = (JobState.QUEUED, JobState.SCHEDULED, JobState.RUNNING)  # from which a job can be cancelled


class TaskState(StrEnum):
    """The states of a task, as they are stored."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    NEVER_RAN = "never_ran"  # Batch's UNEXECUTED: the job ended before the task began


class TaskExit:
    """The exit codes that Batch reserves for itself (docs: batch/docs/troubleshooting)."""

    PREEMPTED = 50001
    REPORTING_TIMEOUT = 50002
    REBOOTED = 50003
    UNRESPONSIVE = 50004
    TIMED_OUT = 50005
    RECREATED = 50006


@dataclass(frozen=True)
class TaskCounts:
    """How many tasks of a job are in each state; the fields are the values of TaskState."""

    pending: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    never_ran: int = 0


@dataclass(frozen=True)
class TaskEnd:
    """A task that did not succeed: its position in the job and the exit code of its last try, if there is one."""

    position: int
    exit_code: int | None
