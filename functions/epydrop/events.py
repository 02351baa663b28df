"""What happened, in our own words. An event is only a hint; a kick is a command."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from epydrop.jobs import JobState
from epydrop.names import JobName, Stage
from epydrop.run import Changes, Dropped


@dataclass(frozen=True)
class FileDropped:
    """An object that may be an experiment appeared in the trigger bucket. ``size`` in bytes."""

    dropped: Dropped
    size: int


@dataclass(frozen=True)
class JobChanged:
    """Batch says that a job of ours entered a state."""

    job: JobName
    state: JobState | None

    @property
    def run_id(self) -> str:
        """The run that the job belongs to."""
        return self.job.run_id


@dataclass(frozen=True)
class CheckRequested:
    """The sweep asks for one run to be looked at."""

    run_id: str


@dataclass(frozen=True)
class SweepRequested:
    """The schedule asks for every open or unsettled run to be checked."""


@dataclass(frozen=True)
class CancelRequested:
    """A person wants the run to end."""

    run_id: str
    kick_id: str
    published: datetime


@dataclass(frozen=True)
class RetryRequested:
    """A person wants a failed or cancelled run to go on, or a run to be computed again from a stage."""

    run_id: str
    kick_id: str
    published: datetime
    from_stage: Stage | None = None
    changes: Changes = field(default_factory=Changes)


@dataclass(frozen=True)
class OutputRequested:
    """A person wants the output stage once more, into a folder of its own; no ``config`` means the experiment's own."""

    run_id: str
    kick_id: str
    published: datetime
    config: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Ignored:
    """The envelope is none of our business, and why."""

    reason: str


Kick = CancelRequested | RetryRequested | OutputRequested
RunEvent = FileDropped | JobChanged | CheckRequested | Kick
Event = RunEvent | SweepRequested | Ignored
