"""What is true right now, as far as a decision needs it. Values only; ``observe`` gathers them."""

from __future__ import annotations

from dataclasses import dataclass, field

from epydrop.core.jobs import JobView, TaskExit
from epydrop.core.run import Cause, FailureGroup, Plan
from epydrop.errors import ExitCode, Problem
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage

MAX_RECORDS = 200  # error records of one attempt that are read

_CAUSES = {
    TaskExit.PREEMPTED: Cause.PREEMPTED,
    TaskExit.UNKNOWN: Cause.VM_LOST,
    TaskExit.REPORTING_TIMEOUT: Cause.VM_LOST,
    TaskExit.REBOOTED: Cause.VM_LOST,
    TaskExit.UNRESPONSIVE: Cause.VM_LOST,
    TaskExit.RECREATED: Cause.VM_LOST,
    TaskExit.TIMED_OUT: Cause.TIMED_OUT,
    ExitCode.TRY_AGAIN: Cause.UNAVAILABLE,
    ExitCode.OUT_OF_MEMORY: Cause.OUT_OF_MEMORY,
    ExitCode.BAD_INPUT: Cause.BAD_INPUT,
    ExitCode.WIRING: Cause.WIRING,
}


def cause_of(exit_code: int | None) -> Cause:
    """The cause behind the exit code of a task's last try; no exit code means that it never ran."""
    return Cause.NEVER_RAN if exit_code is None else _CAUSES.get(exit_code, Cause.CODE)


@dataclass(frozen=True)
class Offer:
    """What a dropped file asks for; ``problems`` are all the reasons to reject it."""

    exp_id: str
    run_url: str
    plan: Plan
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class ManifestSeen:
    """What the builder's manifest says: how many tasks, and the index range of each location."""

    tasks: int
    locations: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Facts:
    """The state of the world around the attempt ``stage``-``attempt`` of one run.

    None means that nobody looked, because no decision could need it.
    """

    stage: Stage | None = None
    attempt: int = 0
    job: JobView | None = None
    manifest: ManifestSeen | None = None
    missing: IndexSet | None = None
    complete: bool = False
    quality: str = ""  # of the complete outputs
    refused: IndexSet | None = None
    causes: dict[Cause, IndexSet] = field(default_factory=dict)
    failures: tuple[FailureGroup, ...] = ()
    problems: tuple[Problem, ...] = ()
    damage: str = ""  # what is wrong with a product that is there and cannot be read
    refusal: str = ""  # why the job service refuses the job for good
    offer: Offer | None = None
    performed: frozenset[str] = frozenset()
