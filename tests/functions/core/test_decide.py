"""The table, row by row: a file is dropped, people give orders, a run has ended; and what holds for every run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decisions import CHECK, DONE, ENDED, MANIFEST, decided, kick, runner
from support.factories import NOW, RUN_ID, SIZE, a_failure, a_plan, a_run, an_attempt, facts_of, seen, told

from epydrop.core.causes import Cause
from epydrop.core.conditions import GONE_AFTER
from epydrop.core.decide import decide
from epydrop.core.effects import CancelJob, SubmitJob
from epydrop.core.events import CancelRequested, FileDropped, JobChanged, OutputRequested, RetryRequested
from epydrop.core.jobs import JobState, TaskCounts
from epydrop.core.observed_facts import Facts, Offer
from epydrop.core.phases import Phase
from epydrop.core.run import Dropped, Run
from epydrop.core.table import TABLE
from epydrop.errors import Problem
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import JobName, Stage

# -- a file is dropped ---------------------------------------------------------------------------


def a_drop() -> FileDropped:
    return FileDropped(Dropped("trigger", "experiments/flu.yaml", 5, NOW), 100)


def test_a_valid_file_founds_a_run_in_the_builder() -> None:
    """Its orders are those of one task of the planned size."""
    decision = decided(None, Facts(offer=Offer("flu", "file:///d/", a_plan())), a_drop())

    run = decision.run
    assert (run.phase, decision.effects) == (Phase.BUILDER, (SubmitJob(run.current.job_id), *told(run)))
    assert run.current.orders.resources == SIZE
    assert (run.serial, run.unsettled, decision.row) == (1, True, "drop-valid")


def test_an_invalid_file_founds_a_rejected_run_with_every_problem() -> None:
    """Nothing is submitted; the person is told."""
    problems = (Problem("bad", "flu.yaml", 3, 1), Problem("worse", "flu.yaml", 4, 1))

    decision = decided(None, Facts(offer=Offer("flu", "file:///d/", a_plan(), problems)), a_drop())

    assert decision.run.phase is Phase.REJECTED
    assert decision.run.problems == ("flu.yaml:3:1: bad", "flu.yaml:4:1: worse")
    assert decision.effects == told(decision.run)


def test_the_same_drop_again_changes_nothing() -> None:
    """The same drop always means the same run."""
    run = a_run(Phase.BUILDER)
    noted = decided(run, facts_of(run), a_drop()).run

    assert not decide(noted, a_drop(), facts_of(noted), NOW).changed


# -- kicks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.BUILDER, Phase.RUNNER, Phase.OUTPUT])
def test_a_cancel_ends_an_open_run_and_its_job(phase: Phase) -> None:
    """In whatever stage it is."""
    run = a_run(phase)

    decision = decided(run, facts_of(run), kick())

    assert (decision.run.phase, decision.row) == (Phase.CANCELLED, "cancel")
    assert decision.effects == (CancelJob(run.current.job_id), *told(decision.run))
    assert decision.run.knows("kick-1")


def test_a_cancel_of_a_job_that_has_just_ended_cancels_no_job() -> None:
    """There is nothing left to cancel."""
    run = runner()

    decision = decided(run, facts_of(run, DONE, missing=IndexSet()), kick())

    assert decision.effects == told(decision.run)


def test_a_known_kick_changes_nothing() -> None:
    """Pub/Sub delivers at least once."""
    run = a_run(Phase.CANCELLED, kicks=("kick-1",))

    decision = decided(run, facts_of(run, JobState.CANCELLED), kick(RetryRequested))

    assert (decision.row, decision.run.phase) == ("kick-known", Phase.CANCELLED)


def test_a_kick_sent_before_one_that_counts_changes_nothing() -> None:
    """What a person sent last wins, in whatever order the kicks arrive."""
    run = runner(kick_sent=NOW - timedelta(minutes=60))

    decision = decided(run, facts_of(run), kick(minutes_ago=61))

    assert (decision.row, decision.run.phase) == ("kick-stale", Phase.RUNNER)
    assert not decision.run.knows("kick-1")


def test_a_cancel_that_meets_the_next_stage_still_ends_the_run() -> None:
    """A person who cancels means the run; that a stage began by itself meanwhile they could not know."""
    before, after = an_attempt(), an_attempt(Stage.RUNNER)
    run = runner(seen(replace(before, begun=NOW - timedelta(hours=2))), seen(replace(after, begun=NOW)))

    decision = decided(run, facts_of(run), kick(minutes_ago=1))

    assert (decision.row, decision.run.phase) == ("cancel", Phase.CANCELLED)


@pytest.mark.parametrize(("kind", "row"), [(RetryRequested, "retry-open"), (OutputRequested, "output-open")])
def test_a_run_at_work_takes_no_retry_and_no_output_request(kind: type, row: str) -> None:
    """It says so and goes on."""
    run = runner()

    decision = decided(run, facts_of(run), kick(kind))

    assert (decision.row, decision.run.phase, decision.run.reason) == (row, Phase.RUNNER, "as before")


def test_a_cancel_calls_off_a_retry_that_waits() -> None:
    """The retry was kept while the old job lived."""
    run = a_run(Phase.FAILED)
    waiting = decided(run, facts_of(run), kick(RetryRequested)).run
    assert waiting.pending is not None

    decision = decided(waiting, facts_of(waiting), kick(kick_id="kick-2"))

    assert (decision.row, decision.run.pending) == ("call-off", None)


# -- runs that ended -----------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED, Phase.REJECTED])
def test_a_live_job_of_a_run_that_ended_is_cancelled(phase: Phase) -> None:
    """A submit came late, or a cancel was lost."""
    run = a_run(phase, unsettled=False)

    decision = decided(run, facts_of(run))

    assert (decision.row, decision.run.phase) == ("leftover", phase)
    assert (decision.effects, decision.run.unsettled) == ((CancelJob(run.current.job_id),), True)


def test_a_run_with_news_to_tell_is_not_forgotten() -> None:
    """Whoever was to tell them may die: the sweep looks after it again."""
    run = a_run(Phase.SUCCEEDED, unsettled=False, told=f"{Phase.SUCCEEDED}/1")
    problem = Problem("expected a number", "the output configuration")

    decision = decided(run, facts_of(run, DONE, problems=(problem,)), kick(OutputRequested))

    assert decision.effects == told(decision.run)
    assert decision.run.unsettled


def test_a_run_is_settled_once_its_job_ended_and_its_person_was_told() -> None:
    """Then the sweep may forget it."""
    run = a_run(Phase.FAILED)

    decision = decided(run, facts_of(run, ENDED))

    assert (decision.row, decision.run.unsettled, decision.effects) == ("settled", False, ())


def test_a_run_that_ended_before_its_job_was_seen_is_watched_for_a_while() -> None:
    """A stalled call may still submit it."""
    run = a_run(Phase.CANCELLED, replace(an_attempt(), begun=NOW - timedelta(minutes=10)))

    soon = decided(run, facts_of(run, None))
    later = decided(run, facts_of(run, None), at=NOW + timedelta(minutes=6))

    assert (soon.row, later.row) == ("ended", "settled")


def test_a_run_that_was_closed_just_now_waits_for_a_submit_on_its_way() -> None:
    """Checks had submitted the job again and again until then, and one of these calls may have stalled."""
    attempt = replace(an_attempt(), begun=NOW - timedelta(days=1))
    cancelled = decided(a_run(Phase.BUILDER, attempt), facts_of(a_run(Phase.BUILDER, attempt), None), kick()).run

    retried = decided(cancelled, facts_of(cancelled, None), kick(RetryRequested, minutes_ago=0, kick_id="kick-2"))
    later = decided(retried.run, facts_of(cancelled, None), at=NOW + GONE_AFTER + timedelta(seconds=1))

    assert (retried.row, later.row) == ("retry-waits", "retry")


def test_a_run_whose_job_may_not_be_looked_at_is_not_forgotten() -> None:
    """A call that died may have submitted it; whoever asks for another job waits until it is known to be gone."""
    run = a_run(Phase.FAILED, replace(an_attempt(), begun=NOW - timedelta(days=1)))
    refused = facts_of(run, None, refusal="permission denied")

    assert decided(run, refused).row == "ended"
    waiting = decided(replace(run, unsettled=False), refused, kick(RetryRequested))
    assert (waiting.row, waiting.run.unsettled) == ("retry-waits", True)
    assert decided(run, facts_of(run)).row == "leftover"


def test_a_person_who_was_not_told_is_told() -> None:
    """A crash between saving and telling must not swallow the news."""
    run = a_run(Phase.FAILED, told="")

    decision = decided(run, facts_of(run, ENDED))

    assert decision.effects == told(run)


def test_the_news_count_as_told_once_both_effects_were_performed() -> None:
    """Not after one of them."""
    run = a_run(Phase.FAILED, told="")
    reply, publish = told(run)

    half = decided(run, facts_of(run, ENDED, performed=frozenset({reply.id}))).run
    whole = decided(run, facts_of(run, ENDED, performed=frozenset({reply.id, publish.id}))).run

    assert (half.told, whole.told, whole.unsettled) == ("", run.news, False)


# -- for every run, event and set of facts -------------------------------------------------------


def test_every_row_has_a_name_of_its_own() -> None:
    """The history speaks of rows by name."""
    assert len({row.name for row in TABLE}) == len(TABLE)


def test_every_row_of_the_table_has_an_example() -> None:
    """Here or in a file beside this one; a row that no example needs is a row that nobody needs."""
    here = Path(__file__)
    examples = "".join(path.read_text() for path in here.parent.glob(f"{here.stem}*.py"))

    assert [row.name for row in TABLE if f'"{row.name}"' not in examples] == []


some_indices = st.builds(IndexSet.of, st.sets(st.integers(0, 3)))
some_causes = st.dictionaries(st.sampled_from(Cause), some_indices.filter(bool), max_size=3)
some_attempts = st.builds(
    lambda stage, number, is_seen, causes, overwrite: replace(
        seen(an_attempt(stage, number, overwrite=overwrite)) if is_seen else an_attempt(stage, number), causes=causes
    ),
    st.sampled_from(Stage),
    st.integers(1, 12),
    st.booleans(),
    some_causes,
    st.booleans(),
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Run, object, Facts]:
    """Any run, with any event and any facts about it, however unlikely together."""
    phase = draw(st.sampled_from(Phase))
    last = an_attempt(Stage(phase)) if phase.is_open else draw(some_attempts)
    attempts = (*draw(st.lists(some_attempts, max_size=4)), draw(st.sampled_from([last, seen(last)])))
    run = a_run(
        phase,
        *attempts,
        missing=draw(some_indices),
        tasks=draw(st.sampled_from([4, 4, None])) if phase in (Phase.FAILED, Phase.CANCELLED, Phase.REJECTED) else 4,
        kicks=draw(st.sampled_from([(), ("kick-1",)])),
        kicked_after=draw(st.integers(0, len(attempts))),
        told=draw(st.sampled_from(["", "accepted"])),
        plan=a_plan(min_success=draw(st.sampled_from([0.5, 1.0])), max_attempts=draw(st.integers(1, 3))),
    )
    facts = facts_of(
        run,
        draw(st.sampled_from([None, *JobState])),
        manifest=draw(st.sampled_from([None, MANIFEST])),
        missing=draw(st.none() | some_indices),
        complete=draw(st.booleans()),
        refused=draw(st.none() | some_indices),
        causes=draw(some_causes),
        failures=draw(st.sampled_from([(), (a_failure(),)])),
        counts=draw(st.sampled_from([TaskCounts(pending=4), TaskCounts(failed=25), TaskCounts(succeeded=4)])),
        refusal=draw(st.sampled_from(["", "", "no"])),
        problems=draw(st.sampled_from([(), (Problem("wrong"),)])),
    )
    event = draw(
        st.sampled_from(
            [
                CHECK,
                a_drop(),
                JobChanged(JobName(Stage.RUNNER, RUN_ID, 1), JobState.FAILED),
                kick(),
                kick(minutes_ago=90),
                kick(OutputRequested),
                kick(OutputRequested, config={"outputs": {}}),
                kick(RetryRequested),
                *(kick(RetryRequested, from_stage=stage) for stage in Stage),
            ]
        )
    )
    return run, event, facts


@given(situations())
def test_any_event_in_any_phase_yields_a_decision_that_follows_the_table(case: tuple[Run, object, Facts]) -> None:
    """At worst it stays where it is; and the same kick again changes nothing."""
    run, event, facts = case

    decision = decide(run, event, facts, NOW)

    row = next(row for row in TABLE if row.name == decision.row)
    assert decision.run.phase is run.phase or (run.phase, decision.run.phase) in row.arrows
    assert decision.run.serial == run.serial + decision.changed
    jobs = [attempt.job_id for attempt in decision.run.attempts]
    for effect in decision.effects:
        assert not isinstance(effect, SubmitJob) or effect.about == jobs[-1]
    if isinstance(event, CancelRequested | RetryRequested | OutputRequested) and decision.run.knows(event.kick_id):
        again = decide(decision.run, event, facts_of(decision.run), NOW)
        assert again.row == "kick-known"


@given(situations())
def test_only_kicks_move_a_run_that_ended(case: tuple[Run, object, Facts]) -> None:
    """Checks, late notifications and repeated drops do not."""
    run, event, facts = case
    if run.phase.is_open or isinstance(event, CancelRequested | RetryRequested | OutputRequested):
        return

    decision = decide(run, event, facts, NOW)

    assert (decision.run.phase, len(decision.run.attempts)) == (run.phase, len(run.attempts))
