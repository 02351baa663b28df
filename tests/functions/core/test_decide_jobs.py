"""The table, row by row: the job that should exist, what is seen of it, what is done about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.decisions import FOUR, MANIFEST, decided, runner
from support.factories import NOW, RUN_ID, a_plan, a_run, an_attempt, facts_of, seen

from epydrop.core.causes import Cause
from epydrop.core.decide import decide
from epydrop.core.effects import CancelJob, SubmitJob
from epydrop.core.events import CheckRequested
from epydrop.core.jobs import JobState, TaskCounts
from epydrop.core.phases import Phase
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage


@pytest.mark.parametrize("phase", [Phase.BUILDER, Phase.RUNNER, Phase.OUTPUT])
def test_a_job_that_was_never_seen_is_submitted_again(phase: Phase) -> None:
    """Under the same id, so that twice is once."""
    run = a_run(phase, an_attempt(Stage(phase)))

    decision = decided(run, facts_of(run, None))

    assert (decision.row, decision.effects) == ("submit-again", (SubmitJob(run.current.job_id),))


def test_a_job_that_nobody_takes_ends_the_run_when_it_has_waited_long_enough() -> None:
    """However friendly the job service says that it is busy."""
    attempt = an_attempt(Stage.RUNNER)
    run = runner(attempt)
    patience = timedelta(seconds=run.plan.max_wait)

    waiting = decided(run, facts_of(run, None), at=attempt.begun + patience)
    over = decided(run, facts_of(run, None), at=attempt.begun + patience + timedelta(seconds=1))

    assert (waiting.row, over.row, over.run.phase, over.run.cause) == (
        "submit-again",
        "stuck",
        Phase.FAILED,
        Cause.STUCK,
    )
    assert "the runner could not be submitted for longer than" in over.reason


def test_a_job_that_is_missing_for_a_moment_is_waited_for() -> None:
    """A read may lag behind a create."""
    run = runner(seen(an_attempt(Stage.RUNNER), ago=timedelta(minutes=14)))

    decision = decided(run, facts_of(run, None, missing=FOUR))

    assert (decision.row, decision.effects, decision.changed) == ("unreadable", (), False)


def test_a_job_that_was_deleted_ends_the_run() -> None:
    """What it would have told is gone with it."""
    run = runner(seen(an_attempt(Stage.RUNNER), ago=timedelta(minutes=16)))

    decision = decided(run, facts_of(run, None, missing=IndexSet.of([3])))

    assert (decision.run.phase, decision.run.cause, decision.row) == (Phase.FAILED, Cause.DELETED, "deleted")
    assert decision.run.missing == IndexSet.of([3])


@pytest.mark.parametrize("phase", [Phase.BUILDER, Phase.OUTPUT])
def test_a_product_that_cannot_be_read_ends_the_run(phase: Phase) -> None:
    """It stays unreadable; the reply says what it is, and which command replaces it."""
    run = a_run(phase)

    decision = decide(run, CheckRequested(RUN_ID), facts_of(run, JobState.SUCCEEDED, damage="it is no JSON"), NOW)

    assert (decision.run.phase, decision.run.cause, decision.row) == (Phase.FAILED, Cause.CODE, "damaged")
    assert "it is no JSON" in decision.reason
    assert f"retry from the {phase}" in decision.reason


def test_a_deleted_job_whose_product_is_complete_does_no_harm() -> None:
    """What should be there is there."""
    run = runner(seen(an_attempt(Stage.RUNNER), ago=timedelta(minutes=16)))

    assert decided(run, facts_of(run, None, missing=IndexSet())).run.phase is Phase.OUTPUT


def test_a_job_that_the_service_refuses_for_good_ends_the_run() -> None:
    """With the service's own words."""
    run = a_run(Phase.BUILDER, an_attempt())

    decision = decided(run, facts_of(run, None, refusal="labels differ"))

    assert (decision.run.phase, decision.run.cause, decision.row) == (Phase.FAILED, Cause.WIRING, "job-refused")
    assert "labels differ" in decision.run.reason


@pytest.mark.parametrize("phase", [Phase.BUILDER, Phase.RUNNER, Phase.OUTPUT])
def test_a_job_that_somebody_cancelled_cancels_the_run(phase: Phase) -> None:
    """Whoever cancels the job means the run."""
    run = a_run(phase)

    decision = decided(run, facts_of(run, JobState.CANCELLED, missing=FOUR, manifest=MANIFEST))

    assert (decision.run.phase, decision.row) == (Phase.CANCELLED, "job-cancelled")


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.SCHEDULED])
def test_a_job_that_waits_longer_than_max_wait_is_stuck(state: JobState) -> None:
    """The bill must not start at three in the morning."""
    run = runner(plan=a_plan(max_wait=1800))

    decision = decided(run, facts_of(run, state))

    assert (decision.run.phase, decision.run.cause, decision.row) == (Phase.FAILED, Cause.STUCK, "stuck")
    assert decision.effects[0] == CancelJob(run.current.job_id)


IDLE = TaskCounts(pending=3, succeeded=1)


@pytest.mark.parametrize(
    ("hours", "counts", "row"),
    [
        (7, IDLE, "stuck"),
        (5, IDLE, "at-work"),
        (7, TaskCounts(pending=2, running=1, succeeded=1), "at-work"),
        (7, TaskCounts(pending=2, succeeded=2), "at-work"),  # one has finished meanwhile
        (7, TaskCounts(succeeded=4), "at-work"),
    ],
)
def test_a_running_job_whose_tasks_get_no_machine_is_stuck_too(hours: int, counts: TaskCounts, row: str) -> None:
    """Batch calls a job running from its first machine on, and it may lose all of them for days."""
    first = runner()
    before = decided(first, facts_of(first, counts=IDLE)).run

    decision = decided(before, facts_of(before, counts=counts), at=NOW + timedelta(hours=hours))

    assert before.current.idle_since == NOW
    assert decision.row == row
    assert (decision.run.cause is Cause.STUCK) == (row == "stuck")


def test_a_job_that_got_a_machine_waits_anew_when_it_loses_it() -> None:
    """Only an unbroken wait is counted."""
    run = runner()
    for hours, running in ((0, 0), (5, 1), (6, 0)):
        facts = facts_of(run, counts=TaskCounts(pending=4 - running, running=running))
        run = decided(run, facts, at=NOW + timedelta(hours=hours)).run

    assert run.current.idle_since == NOW + timedelta(hours=6)


def test_a_job_at_work_is_noted() -> None:
    """Its uid, its state and how far it is."""
    run = runner(an_attempt(Stage.RUNNER))

    decision = decided(run, facts_of(run, counts=TaskCounts(pending=1, running=2, succeeded=1)))

    attempt = decision.run.current
    assert (decision.row, attempt.uid_recorded, attempt.counts.running) == ("at-work", NOW, 2)
    assert decision.run.reason == "the runner is running: 1 done, 0 failed, 2 running, 1 to come"


def test_facts_about_an_earlier_attempt_are_not_noted() -> None:
    """They name the attempt that they describe."""
    run = runner()
    stale = replace(facts_of(run), attempt=9)

    assert decided(run, stale).run.current == run.current
