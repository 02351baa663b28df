"""Runs, attempts, jobs and facts with defaults; a test names only what it is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from epydrop.core.causes import Cause
from epydrop.core.effects import Publish, WriteReply
from epydrop.core.jobs import JobState, JobView, TaskCounts
from epydrop.core.observed_facts import Facts
from epydrop.core.phases import Phase
from epydrop.core.run import Attempt, Dropped, FailureGroup, Plan, Run
from epydrop.formats import names
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage
from epydrop.formats.orders import Orders, Resources

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RUN_ID = "20261122-110000-0123abcd"
SIZE = Resources(2000, 4000, 3600, 16_000)


def a_plan(**changes: Any) -> Plan:
    """Three small stages and three attempts."""
    return replace(Plan(stages=dict.fromkeys(Stage, SIZE)), **changes)


def an_attempt(stage: Stage = Stage.BUILDER, number: int = 1, **changes: Any) -> Attempt:
    """An attempt begun an hour ago; keywords that name fields of the orders go there."""
    orders = Orders(
        run_id=RUN_ID,
        exp_id="flu",
        stage=stage,
        attempt=number,
        indices=changes.pop("indices", IndexSet.below(4) if stage is Stage.RUNNER else IndexSet.below(1)),
        resources=changes.pop("resources", SIZE),
        parallelism=100,
        inputs=changes.pop("inputs", "builder-artifacts/"),
        results=changes.pop("results", "runner-artifacts/"),
        outputs="outputs/20261122-113000/" if stage is Stage.OUTPUT else "",
        missing=changes.pop("missing", IndexSet()),
        overwrite=changes.pop("overwrite", False),
    )
    return replace(Attempt(orders, begun=NOW - timedelta(hours=1)), **changes)


def seen(attempt: Attempt, *, ago: timedelta = timedelta(minutes=50)) -> Attempt:
    """The attempt, its job seen and its uid recorded so long ago."""
    return replace(attempt, uid=f"uid-{attempt.job_id}", uid_recorded=NOW - ago)


def a_run(phase: Phase = Phase.BUILDER, *attempts: Attempt, **changes: Any) -> Run:
    """A run of four tasks; its person knows all there is to know."""
    stage = Stage(phase) if phase.is_open else Stage.OUTPUT
    known_tasks = stage is not Stage.BUILDER
    run = Run(
        run_id=RUN_ID,
        exp_id="flu",
        run_url="file:///data/flu/",
        dropped=Dropped("trigger", "experiments/flu.yaml", 1, NOW - timedelta(hours=1)),
        plan=a_plan(),
        phase=phase,
        reason="as before",
        created=NOW - timedelta(hours=1),
        updated=NOW - timedelta(minutes=30),
        attempts=attempts or (seen(an_attempt(stage)),),
        tasks=4 if known_tasks else None,
        missing=IndexSet.below(4) if stage is Stage.RUNNER else IndexSet(),
        serial=7,
    )
    run = replace(run, **changes)
    return replace(run, told=changes.get("told", run.news))


def a_job(attempt: Attempt, state: JobState = JobState.RUNNING, **changes: Any) -> JobView:
    """The attempt's job as the service shows it."""
    view = JobView(attempt.job_id, f"uid-{attempt.job_id}", state, NOW - timedelta(minutes=55), TaskCounts(pending=1))
    return replace(view, **changes)


def facts_of(run: Run, state: JobState | None = JobState.RUNNING, **changes: Any) -> Facts:
    """The facts about the run's current attempt; no state means that its job is not there."""
    attempt = run.current
    assert attempt is not None
    counts = changes.pop("counts", TaskCounts(pending=1))
    job = None if state is None else a_job(attempt, state, counts=counts)
    return Facts(stage=attempt.stage, attempt=attempt.orders.attempt, job=job, **changes)


def told(run: Run) -> tuple[WriteReply, Publish]:
    """The effects by which a person and the listeners hear the news of this run."""
    return WriteReply(run.news), Publish(run.news)


def a_failure(**changes: Any) -> FailureGroup:
    """Twenty-five tasks with the same ValueError."""
    return replace(FailureGroup(Cause.CODE, 25, 3, "f00d", "ValueError", "no beds"), **changes)


def result_of(index: int) -> str:
    """The name of a result in the first round."""
    return names.result_name("runner-artifacts/", index)
