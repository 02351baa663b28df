"""A run as it is stored: its phase, its attempts, and all that ``decide`` must remember between two events."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from epydrop.core.causes import Cause
from epydrop.core.jobs import JobState, TaskCounts
from epydrop.core.phases import Phase
from epydrop.formats import names
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage
from epydrop.formats.orders import Orders, Resources

KICKS_KEPT = 50


@dataclass(frozen=True)
class Plan:
    """What the experiment file asks of the run: the part of it that decisions need. ``max_wait`` in seconds."""

    stages: dict[Stage, Resources]
    max_parallelism: int = 100
    min_success: float = 1.0
    required: tuple[str, ...] = ()
    max_attempts: int = 3
    max_wait: float = 6 * 3600
    labels: dict[str, str] = field(default_factory=dict)
    expected_tasks: int | None = None  # as far as the file tells, before the builder counts them


@dataclass(frozen=True)
class Dropped:
    """The one generation of the one object that started the run."""

    bucket: str
    name: str
    generation: int
    created: datetime
    md5: str = ""  # of its bytes, in base64 as Cloud Storage has it; tells whether a file was dropped before
    kick_id: str = ""  # the kick that asked for the file to run once more

    @property
    def run_id(self) -> str:
        """The id of the run that it starts."""
        return names.run_id_of(self.bucket, self.name, self.generation, self.created, self.kick_id)


@dataclass(frozen=True)
class Attempt:
    """One Batch job of one stage: its orders, and what was seen of the job so far."""

    orders: Orders
    begun: datetime
    uid: str = ""
    uid_recorded: datetime | None = None
    state: JobState | None = None
    created: datetime | None = None
    counts: TaskCounts = field(default_factory=TaskCounts)
    ended: datetime | None = None
    causes: dict[Cause, IndexSet] = field(default_factory=dict)

    @property
    def stage(self) -> Stage:
        """The stage that the attempt belongs to."""
        return self.orders.stage

    @property
    def job_id(self) -> str:
        """The id of the attempt's job."""
        return names.job_id(self.orders.stage, self.orders.run_id, self.orders.attempt)


@dataclass(frozen=True)
class Changes:
    """What a retry is to do differently; None leaves a thing as it is."""

    memory_mib: int | None = None
    max_run_duration: int | None = None
    spot: bool | None = None
    image: str | None = None

    @property
    def for_later_stages(self) -> Changes:
        """What of it holds beyond the stage that goes on: one image reads what the other wrote."""
        return Changes(spot=self.spot, image=self.image)

    def applied_to(self, resources: Resources) -> Resources:
        """The resources with these changes."""
        asked = {name: value for name, value in vars(self).items() if value is not None}
        if self.memory_mib is not None:
            asked["max_memory_mib"] = max(resources.max_memory_mib, self.memory_mib)
        return replace(resources, **asked)


@dataclass(frozen=True)
class Retry:
    """A retry that a person asked for. ``scope`` is 'missing', or the stage from which all is computed again."""

    kick_id: str
    scope: str = "missing"
    changes: Changes = field(default_factory=Changes)


@dataclass(frozen=True)
class FailureGroup:
    """Failures that share one fingerprint, or one cause where the task left no record."""

    cause: Cause
    count: int
    sample_index: int
    fingerprint: str = ""
    type: str = ""
    message: str = ""
    record: str = ""  # the object that holds the sample's traceback

    def __str__(self) -> str:
        what = f"{self.type}: {self.message}" if self.type else f"{self.cause}"
        return f"{self.count} x {what} (for example task {self.sample_index})"


@dataclass(frozen=True)
class Run:
    """One execution of an experiment."""

    FORMAT: ClassVar[int] = 1
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    run_id: str
    exp_id: str
    run_url: str
    dropped: Dropped
    plan: Plan
    phase: Phase
    reason: str
    created: datetime
    updated: datetime
    attempts: tuple[Attempt, ...] = ()
    kicked_after: int = 0  # how many attempts there were at the last kick: the budget counts from there
    inputs: str = names.artifacts_folder(Stage.BUILDER, 1)
    results: str = names.artifacts_folder(Stage.RUNNER, 1)
    round: int = 1
    tasks: int | None = None
    locations: dict[str, tuple[int, int]] = field(default_factory=dict)  # of the required ones only
    missing: IndexSet = field(default_factory=IndexSet)
    outputs: str = ""
    output_config: dict[str, object] = field(default_factory=dict)  # of the set of outputs that was asked for last
    published: str = ""  # the newest set of outputs that is whole
    quality: str = ""  # what its checks came to: 'pass', 'warn' or 'fail'; empty where none were made
    cause: Cause | None = None
    failures: tuple[FailureGroup, ...] = ()
    problems: tuple[str, ...] = ()
    kicks: tuple[str, ...] = ()
    pending: Retry | None = None
    told: str = ""
    unsettled: bool = True
    serial: int = 0
    format: int = 1

    @property
    def current(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def is_partial(self) -> bool:
        """Whether the outputs are made without some of the results."""
        return self.phase in (Phase.OUTPUT, Phase.SUCCEEDED) and bool(self.missing)

    @property
    def news(self) -> str:
        """What a person should have been told; compared with ``told``."""
        if self.phase.is_open:  # a person hears that a run was accepted and how it ended, not of each stage
            return "accepted"
        refused = f"/{self.kicks[-1]}" if self.problems and self.kicks else ""  # a kick that asked for what cannot be
        return f"{self.phase}/{len(self.attempts)}{refused}"

    def attempts_of(self, stage: Stage) -> tuple[Attempt, ...]:
        """The attempts of one stage, oldest first."""
        return tuple(attempt for attempt in self.attempts if attempt.stage is stage)

    def knows(self, kick_id: str) -> bool:
        """Whether this kick was taken up already."""
        return kick_id in self.kicks

    def having_taken(self, kick_id: str) -> Run:
        """The run with the kick among those it knows."""
        return replace(self, kicks=(*self.kicks, kick_id)[-KICKS_KEPT:])


@dataclass(frozen=True)
class HistoryEntry:
    """One change of a run: what happened, what was seen, what followed, in words and in data."""

    FORMAT: ClassVar[int] = 1
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    serial: int
    at: datetime
    event: dict[str, object]
    facts: dict[str, object]
    row: str
    phase: Phase
    reason: str
    effects: tuple[str, ...] = ()
    format: int = 1
