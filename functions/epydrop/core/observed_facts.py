"""The observed facts that a decision needs. Values only; ``service.observe`` gathers them."""

from __future__ import annotations

from dataclasses import dataclass, field

from epydrop.core.causes import Cause
from epydrop.core.jobs import JobView
from epydrop.core.run import FailureGroup, Plan
from epydrop.errors import Problem
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage

MAX_RECORDS = 200  # error records read per attempt


@dataclass(frozen=True)
class Offer:
    """The contents of a dropped file; ``problems`` are all the reasons to reject it.

    ``experiment_sha256``: of the resolved experiment, in hex.
    """

    exp_id: str
    run_url: str
    plan: Plan
    problems: tuple[Problem, ...] = ()
    experiment_sha256: str = ""


@dataclass(frozen=True)
class ManifestSeen:
    """The builder's manifest: the number of tasks, and the half-open index range of each location."""

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
    damage: str = ""  # why an existing product cannot be read
    refusal: str = ""  # why the job service refuses the job permanently
    offer: Offer | None = None
    performed: frozenset[str] = frozenset()
