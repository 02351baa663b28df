"""The table, row by row: how each stage ends, where the run goes then."""

from __future__ import annotations

import pytest
from support.decisions import DONE, ENDED, FOUR, MANIFEST, decided, failed_tasks, runner
from support.factories import a_failure, a_plan, a_run, an_attempt, facts_of, seen, told

from epydrop.core.causes import Cause
from epydrop.core.effects import CancelJob, SubmitJob
from epydrop.core.jobs import JobState, TaskCounts
from epydrop.core.phases import Phase
from epydrop.core.run import FailureGroup
from epydrop.errors import Problem
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage

# -- the builder ---------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [DONE, ENDED])
def test_a_builder_that_wrote_its_manifest_is_followed_by_all_tasks(state: JobState) -> None:
    """The manifest counts, not the exit code."""
    run = a_run(Phase.BUILDER, plan=a_plan(required=("there",)))

    decision = decided(run, facts_of(run, state, manifest=MANIFEST))

    assert (decision.run.phase, decision.row) == (Phase.RUNNER, "built")
    assert (decision.run.tasks, decision.run.locations) == (4, {"there": (2, 4)})
    assert decision.run.current.orders.indices == FOUR
    assert decision.effects == (SubmitJob(decision.run.current.job_id),)


def test_a_required_location_without_a_task_rejects_the_run_before_anything_is_spent() -> None:
    """A forecast must not silently miss a state."""
    run = a_run(Phase.BUILDER, plan=a_plan(required=("elsewhere",)))

    decision = decided(run, facts_of(run, DONE, manifest=MANIFEST))

    assert (decision.run.phase, decision.row) == (Phase.REJECTED, "required-absent")
    assert "elsewhere" in decision.run.problems[0]


def test_a_builder_that_finds_the_input_wrong_rejects_the_run() -> None:
    """With the places in the file as dropped."""
    run = a_run(Phase.BUILDER)
    problems = (Problem("no such parameter", "flu.yaml", 7, 3),)

    decision = decided(run, facts_of(run, ENDED, causes=failed_tasks(bad_input="0"), problems=problems))

    assert (decision.run.phase, decision.row) == (Phase.REJECTED, "bad-input")
    assert decision.run.problems == ("flu.yaml:7:3: no such parameter",)


@pytest.mark.parametrize("cause", ["preempted", "vm_lost", "never_ran", "unavailable", "out_of_memory"])
def test_a_builder_lost_to_what_may_pass_begins_again(cause: str) -> None:
    """As attempt 2."""
    run = a_run(Phase.BUILDER)

    decision = decided(run, facts_of(run, ENDED, causes=failed_tasks(**{cause: "0"})))

    assert (decision.run.phase, decision.row) == (Phase.BUILDER, "builder-again")
    assert decision.run.current.orders.attempt == 2


@pytest.mark.parametrize("cause", ["code", "wiring", "timed_out"])
def test_a_builder_lost_to_what_will_not_pass_fails_the_run(cause: str) -> None:
    """With the digest of causes as the reason."""
    run = a_run(Phase.BUILDER)

    decision = decided(run, facts_of(run, ENDED, causes=failed_tasks(**{cause: "0"}), failures=(a_failure(),)))

    assert (decision.run.phase, decision.run.cause, decision.row) == (Phase.FAILED, Cause(cause), "failed")
    assert "25 x ValueError: no beds (for example task 3)" in decision.run.reason


def test_the_order_in_which_causes_were_seen_decides_nothing() -> None:
    """A stored run does not keep it, and the same facts must lead to the same decision."""
    run = runner(tasks=4, missing=IndexSet.below(4))
    causes = failed_tasks(timed_out="0-1", code="2-3")

    decisions = [
        decided(run, facts_of(run, ENDED, causes=dict(each), missing=IndexSet.below(4)))
        for each in (causes.items(), reversed(causes.items()))
    ]

    assert decisions[0] == decisions[1]


# -- the runner ----------------------------------------------------------------------------------


def test_all_results_lead_to_the_output_stage() -> None:
    """Which is told of no gaps."""
    run = runner()

    decision = decided(run, facts_of(run, DONE, missing=IndexSet()))

    assert (decision.run.phase, decision.row, decision.run.is_partial) == (Phase.OUTPUT, "all-results", False)
    assert decision.run.outputs == decision.run.current.orders.outputs == "outputs/20261122-120000/"


def test_only_the_tasks_that_may_come_through_begin_again() -> None:
    """Task 1 was preempted, task 2 has a bug, the others are done."""
    run = runner()
    causes = failed_tasks(preempted="1", code="2")

    decision = decided(run, facts_of(run, ENDED, missing=IndexSet.of([1, 2]), causes=causes))

    orders = decision.run.current.orders
    assert (decision.run.phase, decision.row) == (Phase.RUNNER, "rerun-missing")
    assert (orders.indices, orders.attempt, orders.overwrite) == (IndexSet.of([1]), 2, False)


def test_a_result_that_is_not_there_although_its_task_ended_well_is_made_again() -> None:
    """Somebody may have deleted it."""
    run = runner()

    decision = decided(run, facts_of(run, ENDED, missing=IndexSet.of([0])))

    assert decision.run.current.orders.indices == IndexSet.of([0])


def test_enough_results_are_published_and_marked_partial() -> None:
    """The output stage is told which results to do without, and why."""
    run = runner(plan=a_plan(min_success=0.75))
    causes = failed_tasks(code="3")

    decision = decided(run, facts_of(run, ENDED, missing=IndexSet.of([3]), causes=causes))

    assert (decision.run.phase, decision.row, decision.run.is_partial) == (Phase.OUTPUT, "enough-results", True)
    assert decision.run.current.orders.missing == IndexSet.of([3])
    assert decision.run.current.orders.causes == {"code": IndexSet.of([3])}


@pytest.mark.parametrize(("required", "phase"), [((), Phase.OUTPUT), (("there",), Phase.FAILED)])
def test_a_required_location_must_reach_min_success_by_itself(required: tuple[str, ...], phase: Phase) -> None:
    """Three quarters of all, but only half of there."""
    locations = {name: MANIFEST.locations[name] for name in required}
    run = runner(plan=a_plan(min_success=0.75, required=required), locations=locations)

    decision = decided(run, facts_of(run, ENDED, missing=IndexSet.of([3]), causes=failed_tasks(code="3")))

    assert decision.run.phase is phase


def test_too_few_results_fail_the_run_with_the_digest() -> None:
    """How many are missing, and why."""
    run = runner()
    facts = facts_of(
        run, ENDED, missing=IndexSet.of([3]), causes=failed_tasks(code="3"), failures=(a_failure(count=1),)
    )

    decision = decided(run, facts)

    assert decision.run.phase is Phase.FAILED
    assert decision.run.reason.startswith("the runner failed: 1 of 4 results are missing: 1 x ValueError")


def test_tasks_that_all_fail_alike_are_stopped() -> None:
    """The others would fail too, and cost as much."""
    run = runner()

    decision = decided(run, facts_of(run, counts=TaskCounts(failed=20, pending=80), failures=(a_failure(),)))

    assert (decision.run.phase, decision.row) == (Phase.FAILED, "fail-alike")
    assert decision.effects[0] == CancelJob(run.current.job_id)


def test_of_very_many_tasks_that_fail_alike_only_some_records_are_read() -> None:
    """They are enough."""
    run = runner()

    assert (
        decided(run, facts_of(run, counts=TaskCounts(failed=5000), failures=(a_failure(count=200),))).row
        == "fail-alike"
    )


@pytest.mark.parametrize(
    ("counts", "failures"),
    [
        (TaskCounts(failed=19), (a_failure(count=19),)),
        (TaskCounts(failed=30, succeeded=1), (a_failure(count=30),)),
        (TaskCounts(failed=30), (a_failure(count=29), a_failure(count=1, fingerprint="beef"))),
        (TaskCounts(failed=30), ()),
        (TaskCounts(failed=30), (a_failure(count=29),)),
        (TaskCounts(failed=30), (a_failure(count=30, cause=Cause.OUT_OF_MEMORY),)),
        (TaskCounts(failed=30), (a_failure(count=30, cause=Cause.UNAVAILABLE),)),
        (TaskCounts(failed=300), (a_failure(count=199),)),
    ],
)
def test_tasks_that_fail_in_other_ways_go_on(counts: TaskCounts, failures: tuple[FailureGroup, ...]) -> None:
    """Too few, one came through, several reasons, some left no record, or a reason that memory or time may remove."""
    run = runner()

    assert decided(run, facts_of(run, counts=counts, failures=failures)).run.phase is Phase.RUNNER


# -- the output stage ----------------------------------------------------------------------------


@pytest.mark.parametrize("state", [DONE, ENDED])
def test_complete_outputs_end_the_run_well(state: JobState) -> None:
    """Their mark counts, not the exit code."""
    run = a_run(Phase.OUTPUT)

    decision = decided(run, facts_of(run, state, complete=True))

    assert (decision.run.phase, decision.row) == (Phase.SUCCEEDED, "published")
    assert decision.effects == told(decision.run)


def test_refused_results_are_made_again_in_the_place_of_the_bad_ones() -> None:
    """By an attempt of the runner that overwrites."""
    run = a_run(Phase.OUTPUT, seen(an_attempt(Stage.RUNNER)), seen(an_attempt(Stage.OUTPUT)))

    decision = decided(run, facts_of(run, ENDED, refused=IndexSet.of([2]), causes=failed_tasks(code="0")))

    orders = decision.run.current.orders
    assert (decision.run.phase, decision.row) == (Phase.RUNNER, "rerun-refused")
    assert (orders.indices, orders.attempt, orders.overwrite) == (IndexSet.of([2]), 2, True)


def test_a_refused_result_that_was_lost_again_is_still_overwritten() -> None:
    """The bad one still lies there, and would be taken for finished."""
    rerun = seen(an_attempt(Stage.RUNNER, 2, indices=IndexSet.of([2]), overwrite=True))
    run = runner(seen(an_attempt(Stage.RUNNER)), rerun, missing=IndexSet.of([2]))

    decision = decided(run, facts_of(run, ENDED, missing=IndexSet.of([2]), causes=failed_tasks(preempted="2")))

    assert decision.run.current.orders.overwrite


def test_results_that_are_refused_too_often_fail_the_run() -> None:
    """The runner's budget is spent."""
    spent = [seen(an_attempt(Stage.RUNNER, number)) for number in (1, 2, 3)]
    run = a_run(Phase.OUTPUT, *spent, seen(an_attempt(Stage.OUTPUT)))

    decision = decided(run, facts_of(run, ENDED, refused=IndexSet.of([2]), causes=failed_tasks(code="0")))

    assert (decision.run.phase, decision.row) == (Phase.FAILED, "failed")


def test_an_output_stage_that_was_lost_begins_again_in_a_folder_of_its_own() -> None:
    """Half a set of outputs never mixes with a whole one."""
    run = a_run(Phase.OUTPUT)

    decision = decided(run, facts_of(run, ENDED, causes=failed_tasks(vm_lost="0")))

    assert (decision.run.phase, decision.row) == (Phase.OUTPUT, "output-lost")
    assert decision.run.outputs == "outputs/20261122-120000_2/"
