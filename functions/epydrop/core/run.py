"""A run as it is stored: its phase, its attempts, and everything that ``decide`` needs from one event to the next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from epydrop.core.causes import Cause
from epydrop.core.jobs import JobState, TaskCounts
from epydrop.core.phases import Phase
from epydrop.formats import names
from epydrop.formats.document_changes import Change
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage
from epydrop.formats.orders import Orders, Resources

KICKS_KEPT = 50


@dataclass(frozen=True)
class Plan:
    """The part of the experiment that decisions need. ``max_wait`` and ``max_silence`` in seconds."""

    stages: dict[Stage, Resources]
    max_parallelism: int = 100
    min_success: float = 1.0
    required: tuple[str, ...] = ()
    max_attempts: int = 3
    max_wait: float = 6 * 3600
    max_silence: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    expected_tasks: int | None = None  # an estimate from the file, before the builder counts them


@dataclass(frozen=True)
class Dropped:
    """The object generation that started the run."""

    bucket: str
    name: str
    generation: int
    created: datetime
    md5: str = ""  # base64, as in Cloud Storage; recognises a file that was dropped before
    kick_id: str = ""  # the start kick, if one asked to run the file again

    @property
    def run_id(self) -> str:
        """The id of the run that it starts."""
        return names.run_id_of(self.bucket, self.name, self.generation, self.created, self.kick_id)


@dataclass(frozen=True)
class Attempt:
    """One Batch job of one stage: its orders, and the job as last observed."""

    orders: Orders
    begun: datetime
    uid: str = ""
    uid_recorded: datetime | None = None
    state: JobState | None = None
    created: datetime | None = None
    counts: TaskCounts = field(default_factory=TaskCounts)
    idle_since: datetime | None = None  # the job is running and has tasks to do, but none of them has a machine
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
    """What a retry changes; None keeps the value."""

    memory_mib: int | None = None
    max_run_duration: int | None = None
    spot: bool | None = None
    image: str | None = None

    @property
    def for_later_stages(self) -> Changes:
        """The changes that also apply to later stages: Spot, and the image, which reads what an earlier one wrote."""
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
    """Failures with the same fingerprint or, for tasks that left no record, the same cause."""

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
    kicked_after: int = 0  # number of attempts at the last kick; max_attempts counts from there
    kick_sent: datetime | None = None  # of the kicks that count, when the last one was sent
    inputs: str = names.artifacts_folder(Stage.BUILDER, 1)
    results: str = names.artifacts_folder(Stage.RUNNER, 1)
    round: int = 1
    tasks: int | None = None
    # Half-open index ranges, of the required locations only: the document stays small with thousands of locations.
    locations: dict[str, tuple[int, int]] = field(default_factory=dict)
    missing: IndexSet = field(default_factory=IndexSet)
    outputs: str = ""
    output_config: dict[str, object] = field(default_factory=dict)  # of the outputs requested last
    published: str = ""  # folder of the newest complete outputs
    quality: str = ""  # worst result of their checks: 'pass', 'warn' or 'fail'; empty without checks
    cause: Cause | None = None
    failures: tuple[FailureGroup, ...] = ()
    problems: tuple[str, ...] = ()
    kicks: tuple[str, ...] = ()
    pending: Retry | None = None
    closed: datetime | None = None  # when it last left the open phases before its outputs were complete
    told: str = ""
    unsettled: bool = True
    serial: int = 0
    experiment_sha256: str = ""  # of the resolved experiment, in hex; empty in runs of an earlier version
    format: int = 1

    @property
    def current(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def is_partial(self) -> bool:
        """Whether the outputs lack some results."""
        return self.phase in (Phase.OUTPUT, Phase.SUCCEEDED) and bool(self.missing)

    @property
    def news(self) -> str:
        """Identifies the newest notification that is due; ``told`` is the last one that was sent."""
        if self.phase.is_open:  # a person hears that a run was accepted and how it ended, not of each stage
            return "accepted"
        refused = f"/{self.kicks[-1]}" if self.problems and self.kicks else ""  # a refused kick is news of its own
        return f"{self.phase}/{len(self.attempts)}{refused}"

    def attempts_of(self, stage: Stage) -> tuple[Attempt, ...]:
        """The attempts of one stage, oldest first."""
        return tuple(attempt for attempt in self.attempts if attempt.stage is stage)

    def knows(self, kick_id: str) -> bool:
        """Whether this kick was carried out already."""
        return kick_id in self.kicks

    def having_taken(self, kick_id: str) -> Run:
        """The run that remembers the kick; only the newest ``KICKS_KEPT`` are kept, to bound the document."""
        return replace(self, kicks=(*self.kicks, kick_id)[-KICKS_KEPT:])


@dataclass(frozen=True)
class HistoryEntry:
    """One change of a run: the event, the observed facts, the decision and its reason.

    ``is_cut``: whether facts were cut to keep the entry small. ``changes``: how the run became what it is; None if that
    is too long to keep. Entries of earlier versions have neither, so their decisions cannot be repeated.
    """

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
    is_cut: bool | None = None
    changes: tuple[Change, ...] | None = None
    format: int = 1
