"""Events, independent of Google's formats. An event is only a hint that something changed; a kick is a command."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from epydrop.core.jobs import JobState
from epydrop.core.run import Changes, Dropped
from epydrop.formats.names import JobName, Stage


@dataclass(frozen=True)
class FileDropped:
    """An object that may be an experiment appeared in the trigger bucket. ``size`` in bytes."""

    dropped: Dropped
    size: int

    @property
    def run_id(self) -> str:
        """The run that the file starts."""
        return self.dropped.run_id


@dataclass(frozen=True)
class KickDropped:
    """An object that may be a kick appeared in the trigger bucket. ``size`` in bytes."""

    dropped: Dropped
    size: int


@dataclass(frozen=True)
class JobChanged:
    """Batch reports that one of our jobs entered a state."""

    job: JobName
    state: JobState | None

    @property
    def run_id(self) -> str:
        """The run that the job belongs to."""
        return self.job.run_id


@dataclass(frozen=True)
class CheckRequested:
    """The sweep asks to check one run."""

    run_id: str


@dataclass(frozen=True)
class SweepRequested:
    """The schedule asks to check every open or unsettled run."""

    published: datetime | None = None


@dataclass(frozen=True)
class CancelRequested:
    """A person cancels a run."""

    run_id: str
    kick_id: str
    published: datetime


@dataclass(frozen=True)
class RetryRequested:
    """A person resumes a failed or cancelled run, or recomputes a run from a stage."""

    run_id: str
    kick_id: str
    published: datetime
    from_stage: Stage | None = None
    changes: Changes = field(default_factory=Changes)


@dataclass(frozen=True)
class OutputRequested:
    """A person requests another set of outputs; an empty ``config`` means the experiment's own configuration."""

    run_id: str
    kick_id: str
    published: datetime
    config: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class StartRequested:
    """A person runs a file in the trigger bucket again, with its current content."""

    bucket: str
    name: str
    kick_id: str
    published: datetime


@dataclass(frozen=True)
class Ignored:
    """An envelope that does not concern us, and the reason."""

    reason: str


@dataclass(frozen=True)
class Refused(Ignored):
    """A person's command that is invalid, and the reason, which its sender must learn.

    ``kick_id`` is the id of the message; empty if there is none, or the command came as a file.
    """

    kick_id: str = ""


Kick = CancelRequested | RetryRequested | OutputRequested
RunEvent = FileDropped | JobChanged | CheckRequested | Kick
Command = Kick | StartRequested
Event = RunEvent | StartRequested | KickDropped | SweepRequested | Ignored


def subject_of(event: Event) -> dict[str, str]:
    """The log labels of an event: the run and, for a notification of Batch, the stage and attempt."""
    if isinstance(event, JobChanged):
        return {"run_id": event.run_id, "stage": str(event.job.stage), "attempt": str(event.job.attempt)}
    return {"run_id": event.run_id} if isinstance(event, RunEvent) else {}
