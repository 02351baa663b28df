"""The table, row by row: retries, and other outputs of the same results."""

from __future__ import annotations

import pytest
from support.decisions import DONE, ENDED, FOUR, MANIFEST, decided, failed_tasks, kick
from support.factories import a_plan, a_run, an_attempt, facts_of, seen, told

from epydrop.core.causes import Cause
from epydrop.core.effects import CancelJob
from epydrop.core.events import OutputRequested, RetryRequested
from epydrop.core.jobs import JobState
from epydrop.core.phases import Phase
from epydrop.core.run import Changes
from epydrop.errors import Problem
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage


def test_a_retry_goes_on_with_what_is_missing_and_the_changes_asked_for() -> None:
    """Whatever the cause was, and with a fresh budget."""
    spent = [seen(an_attempt(Stage.RUNNER, number)) for number in (1, 2, 3)]
    run = a_run(Phase.FAILED, *spent, missing=IndexSet.of([1, 3]))
    event = kick(RetryRequested, changes=Changes(memory_mib=32_000, spot=True))

    decision = decided(run, facts_of(run, ENDED, missing=IndexSet.of([3]), causes=failed_tasks(code="3")), event)

    orders = decision.run.current.orders
    assert (decision.run.phase, decision.row, decision.run.kicked_after) == (Phase.RUNNER, "retry", 3)
    assert (orders.indices, orders.attempt, orders.kick_id) == (IndexSet.of([3]), 4, "kick-1")
    assert (orders.resources.memory_mib, orders.resources.max_memory_mib, orders.resources.spot) == (
        32_000,
        32_000,
        True,
    )


def test_a_retry_of_a_runner_that_lacks_nothing_goes_to_the_output_stage() -> None:
    """The last results came while the run was being cancelled."""
    run = a_run(Phase.CANCELLED, seen(an_attempt(Stage.RUNNER)), missing=FOUR)

    decision = decided(run, facts_of(run, JobState.CANCELLED, missing=IndexSet()), kick(RetryRequested))

    assert decision.run.phase is Phase.OUTPUT


def test_a_retry_of_a_builder_that_had_finished_goes_to_the_runner() -> None:
    """Its manifest is there."""
    run = a_run(Phase.FAILED, seen(an_attempt()), tasks=None)

    decision = decided(run, facts_of(run, ENDED, manifest=MANIFEST), kick(RetryRequested))

    assert (decision.run.phase, decision.row, decision.run.tasks) == (Phase.RUNNER, "retry-built", 4)


def test_a_retry_that_goes_to_the_runner_changes_what_was_asked_for() -> None:
    """Under orders of its own kick, so that nobody takes up others."""
    run = a_run(Phase.FAILED, seen(an_attempt()), tasks=None)
    event = kick(RetryRequested, changes=Changes(memory_mib=12_000, spot=True))

    orders = decided(run, facts_of(run, ENDED, manifest=MANIFEST), event).run.current.orders

    assert (orders.stage, orders.kick_id) == (Stage.RUNNER, "kick-1")
    assert (orders.resources.memory_mib, orders.resources.spot) == (12_000, True)


def test_a_new_round_has_no_verdict_yet() -> None:
    """What the checks said was said of outputs that are no longer the run's."""
    run = a_run(Phase.SUCCEEDED, published="outputs/1/", quality="pass")

    begun = decided(run, facts_of(run, DONE), kick(RetryRequested, from_stage=Stage.RUNNER)).run

    assert (begun.published, begun.quality) == ("", "")


def test_another_image_is_for_all_stages_that_are_still_to_come() -> None:
    """One reads what the other wrote; memory and time are each stage's own."""
    run = a_run(Phase.FAILED, seen(an_attempt(Stage.RUNNER)), missing=FOUR)
    image = f"sha256:{'1' * 64}"
    event = kick(RetryRequested, changes=Changes(memory_mib=12_000, image=image))

    stages = decided(run, facts_of(run, ENDED, missing=FOUR), event).run.plan.stages

    assert [stages[stage].image for stage in Stage] == ["", image, image]
    assert [stages[stage].memory_mib == 12_000 for stage in Stage] == [False, True, False]


def test_a_retry_waits_for_the_old_job_to_end() -> None:
    """Two jobs must not write the same results."""
    run = a_run(Phase.FAILED, seen(an_attempt(Stage.RUNNER)), missing=FOUR)

    waiting = decided(run, facts_of(run), kick(RetryRequested))
    taken_up = decided(waiting.run, facts_of(waiting.run, JobState.CANCELLED, missing=FOUR))

    assert (waiting.row, waiting.run.phase, waiting.effects) == (
        "retry-waits",
        Phase.FAILED,
        (CancelJob(run.current.job_id),),
    )
    assert (taken_up.run.phase, taken_up.run.pending) == (Phase.RUNNER, None)
    assert taken_up.run.current.orders.kick_id == "kick-1"


@pytest.mark.parametrize("stage", [Stage.BUILDER, Stage.RUNNER])
def test_a_recomputation_gets_folders_of_its_own(stage: Stage) -> None:
    """Old results and new ones never mix."""
    run = a_run(Phase.SUCCEEDED, seen(an_attempt(Stage.RUNNER)), seen(an_attempt(Stage.OUTPUT)))

    decision = decided(run, facts_of(run, DONE, complete=True), kick(RetryRequested, from_stage=stage))

    orders = decision.run.current.orders
    assert (decision.run.phase, orders.results) == (Phase(stage), "runner-artifacts-2/")
    assert orders.inputs == ("builder-artifacts-2/" if stage is Stage.BUILDER else "builder-artifacts/")
    assert orders.indices == (FOUR if stage is Stage.RUNNER else IndexSet.below(1))


def test_a_retry_from_the_output_stage_first_fetches_what_is_missing() -> None:
    """Too many gaps are not published just because somebody is in a hurry."""
    run = a_run(Phase.CANCELLED, seen(an_attempt(Stage.RUNNER)), missing=FOUR)
    event = kick(RetryRequested, from_stage=Stage.OUTPUT)

    decision = decided(run, facts_of(run, JobState.CANCELLED, missing=IndexSet.of([0])), event)

    assert (decision.run.phase, decision.run.results) == (Phase.RUNNER, "runner-artifacts/")


def test_a_partial_run_can_be_completed() -> None:
    """A retry computes the gaps, and the outputs are made again."""
    run = a_run(
        Phase.SUCCEEDED, seen(an_attempt(Stage.RUNNER)), seen(an_attempt(Stage.OUTPUT)), missing=IndexSet.of([3])
    )

    decision = decided(run, facts_of(run, DONE, complete=True), kick(RetryRequested))

    assert (decision.run.phase, decision.run.current.orders.indices) == (Phase.RUNNER, IndexSet.of([3]))


def test_a_lost_output_stage_of_a_partial_run_is_retried_with_the_same_gaps() -> None:
    """Nobody asked for the gaps to be filled."""
    run = a_run(
        Phase.FAILED,
        seen(an_attempt(Stage.RUNNER)),
        seen(an_attempt(Stage.OUTPUT)),
        missing=IndexSet.of([3]),
        plan=a_plan(min_success=0.5),
    )

    decision = decided(run, facts_of(run, ENDED, causes=failed_tasks(code="0")), kick(RetryRequested))

    assert (decision.run.phase, decision.run.current.orders.missing) == (Phase.OUTPUT, IndexSet.of([3]))


def test_a_retry_of_a_run_that_lacks_nothing_is_needless() -> None:
    """And says so."""
    run = a_run(Phase.SUCCEEDED)

    decision = decided(run, facts_of(run, DONE), kick(RetryRequested))

    assert (decision.row, decision.run.phase) == ("retry-needless", Phase.SUCCEEDED)


def test_a_rejected_run_cannot_be_retried() -> None:
    """The file must be fixed and dropped again."""
    run = a_run(Phase.REJECTED)

    assert decided(run, facts_of(run, DONE), kick(RetryRequested)).row == "retry-rejected"


def test_another_set_of_outputs_gets_a_folder_of_its_own() -> None:
    """Beside the first."""
    run = a_run(Phase.SUCCEEDED)

    decision = decided(run, facts_of(run, DONE), kick(OutputRequested))

    assert (decision.run.phase, decision.row) == (Phase.OUTPUT, "output-again")
    assert decision.run.current.orders.outputs == "outputs/20261122-120000_2/"


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED])
def test_the_orders_of_another_set_of_outputs_carry_its_configuration(phase: Phase) -> None:
    """And still do when its first attempt is lost; a failed output stage may be given one that works."""
    run = a_run(phase, published="outputs/20261122-113000/", problems=("an earlier one was wrong",))
    config = {"outputs": {"quantiles": [0.5]}}

    begun = decided(run, facts_of(run, DONE), kick(OutputRequested, config=config))
    lost = decided(begun.run, facts_of(begun.run, ENDED, causes={Cause.PREEMPTED: IndexSet.below(1)}))

    assert (begun.row, lost.row) == ("output-again", "output-lost")
    assert begun.run.problems == ()
    assert [each.run.current.orders.output_config for each in (begun, lost)] == [config, config]


def test_a_failed_second_set_of_outputs_leaves_the_first_standing() -> None:
    """The person is told that it stands."""
    run = a_run(Phase.OUTPUT, published="outputs/20261122-100000/")

    decision = decided(run, facts_of(run, ENDED, causes={Cause.CODE: IndexSet.below(1)}))

    assert (decision.run.phase, decision.run.published) == (Phase.FAILED, "outputs/20261122-100000/")
    assert decision.reason.endswith("the outputs in outputs/20261122-100000/ stand")


def test_other_outputs_that_cannot_be_made_change_nothing_and_are_told() -> None:
    """The forecasts that are there stay; the reply names the problems."""
    run = a_run(Phase.SUCCEEDED)
    problem = Problem("expected a number", "the output configuration")

    decision = decided(run, facts_of(run, DONE, problems=(problem,)), kick(OutputRequested))

    assert (decision.row, decision.run.phase) == ("output-invalid", Phase.SUCCEEDED)
    assert decision.run.problems == (str(problem),)
    assert decision.effects == told(decision.run)


def test_other_outputs_wait_for_the_end_of_a_job_that_is_still_alive() -> None:
    """Two output stages at once would race for the newest set."""
    run = a_run(Phase.CANCELLED)

    assert decided(run, facts_of(run), kick(OutputRequested)).row == "output-early"


def test_other_outputs_of_results_that_are_not_there_are_not_begun() -> None:
    """A retry would compute them first."""
    run = a_run(Phase.FAILED, seen(an_attempt(Stage.RUNNER)))

    assert decided(run, facts_of(run, ENDED), kick(OutputRequested)).row == "output-needless"
