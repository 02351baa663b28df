"""Who may try again, how often, and with what."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.factories import NOW, SIZE, a_plan, a_run, an_attempt

from epydrop.core.attempts import attempts_left, last_causes, may_try_again, next_attempt
from epydrop.core.causes import Cause
from epydrop.core.jobs import job_spec
from epydrop.core.phases import Phase
from epydrop.core.run import Attempt, Run
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage

SPOT = replace(SIZE, spot=True)


def failed(number: int, resources: object = SIZE, **causes: str) -> Attempt:
    """An attempt of the runner whose tasks failed by these causes."""
    found = {Cause(cause): IndexSet.parse(text) for cause, text in causes.items()}
    return replace(an_attempt(Stage.RUNNER, number, resources=resources), causes=found)


def runner(*attempts: Attempt, **changes: object) -> Run:
    """A run in its runner stage."""
    return a_run(Phase.RUNNER, *attempts, **changes)


@pytest.mark.parametrize(("made", "left"), [(1, True), (2, True), (3, False)])
def test_a_stage_has_max_attempts(made: int, left: bool) -> None:
    """Three of them here."""
    run = runner(*(failed(number, code="0") for number in range(1, made + 1)))

    assert attempts_left(run, Stage.RUNNER) is left


def test_each_stage_has_its_own_attempts() -> None:
    """A builder that was lost twice costs the runner nothing."""
    run = runner(*(failed(number, code="0") for number in (1, 2, 3)))

    assert attempts_left(run, Stage.OUTPUT)


@pytest.mark.parametrize(("lost", "left"), [(10, True), (12, True), (13, False)])
def test_attempts_lost_only_to_preemption_are_free_but_only_ten_of_them(lost: int, left: bool) -> None:
    """A bad week for Spot machines must not cost the experiment, nor run endlessly."""
    run = runner(*(failed(number, preempted="0", never_ran="1") for number in range(1, lost + 1)))

    assert attempts_left(run, Stage.RUNNER) is left


def test_a_kick_gives_a_fresh_budget() -> None:
    """A person looked at it."""
    run = runner(*(failed(number, code="0") for number in (1, 2, 3)), kicked_after=3)

    assert attempts_left(run, Stage.RUNNER)


def test_the_last_cause_of_each_index_counts() -> None:
    """Task 1 was preempted first and failed for good afterwards."""
    run = runner(failed(1, preempted="0-2"), failed(2, code="1"))

    assert last_causes(run, IndexSet.below(3)) == {Cause.CODE: IndexSet.of([1]), Cause.PREEMPTED: IndexSet.of([0, 2])}


def test_causes_of_an_earlier_round_do_not_count() -> None:
    """All is computed again."""
    run = runner(failed(1, code="0"), results="runner-artifacts-2/")

    assert last_causes(run, IndexSet.below(1)) == {Cause.UNAVAILABLE: IndexSet.below(1)}


@pytest.mark.parametrize("cause", [Cause.TIMED_OUT, Cause.BAD_INPUT, Cause.WIRING, Cause.CODE])
def test_what_will_not_pass_is_not_tried_again(cause: Cause) -> None:
    """It would cost as much and fail the same."""
    assert not may_try_again(runner(failed(1, **{cause: "0"})), Stage.RUNNER, {cause: IndexSet.below(1)})


def test_a_task_out_of_memory_gets_more_as_long_as_there_is_more() -> None:
    """4000 MiB, then 8000, then 16000, which is the limit of this experiment."""
    run = runner(failed(1, out_of_memory="2"))
    sizes = []
    while may_try_again(run, Stage.RUNNER, {Cause.OUT_OF_MEMORY: IndexSet.of([2])}):
        attempt = next_attempt(run, Stage.RUNNER, NOW, indices=IndexSet.of([2]))
        sizes.append(attempt.orders.resources.memory_mib)
        attempt = replace(attempt, causes={Cause.OUT_OF_MEMORY: IndexSet.of([2])})
        run = replace(run, attempts=(*run.attempts, attempt))

    assert sizes == [8000, 16_000]


def test_an_attempt_is_sized_for_its_neediest_index() -> None:
    """The others get as much, since a job has one size."""
    run = runner(failed(1, out_of_memory="2", preempted="0"))

    assert next_attempt(run, Stage.RUNNER, NOW, indices=IndexSet.of([0, 2])).orders.resources.memory_mib == 8000
    assert next_attempt(run, Stage.RUNNER, NOW, indices=IndexSet.of([0])).orders.resources.memory_mib == 4000


@pytest.mark.parametrize(("second", "spot"), [("1", True), ("0", False)])
def test_an_index_that_lost_two_spot_machines_gets_one_on_demand(second: str, spot: bool) -> None:
    """Two of the same index, not two in all."""
    plan = a_plan(stages=dict.fromkeys(Stage, SPOT))
    run = runner(failed(1, SPOT, preempted="0"), failed(2, SPOT, preempted=second), plan=plan)

    assert next_attempt(run, Stage.RUNNER, NOW, indices=IndexSet.of([0, 1])).orders.resources.spot is spot


def test_labels_are_legal_whatever_the_experiment_is_called() -> None:
    """The predecessor's runs died of an upper-case letter."""
    run = runner(plan=a_plan(labels={"profile": "Flu / RSV"}), exp_id="US/Flu.2026")

    labels = next_attempt(run, Stage.RUNNER, NOW).orders.labels

    assert labels["stage"] == "runner"
    assert labels["exp_id"].startswith("us-flu-2026-")
    assert labels["profile"].startswith("flu---rsv-")


def test_a_job_obeys_its_orders_and_is_known_by_them() -> None:
    """Two submits of the same orders ask for the same job; other orders never pass for them."""
    orders = next_attempt(runner(), Stage.RUNNER, NOW, indices=IndexSet.of([1, 3])).orders

    spec = job_spec(orders, "file:///d/", "ab12")

    assert (spec.job_id, spec.task_count, spec.parallelism) == (f"runner-{orders.run_id}-2", 2, 2)
    assert spec.env == {"EPYDROP_RUN_URL": "file:///d/", "EPYDROP_ATTEMPT": "2", "EPYDROP_ORDERS_SHA256": "ab12"}
    assert spec == job_spec(orders, "file:///d/", "ab12")
    assert job_spec(orders, "file:///d/", "ab12", max_silence=900).env == {**spec.env, "EPYDROP_MAX_SILENCE": "900"}
    assert spec.labels["orders"] != job_spec(replace(orders, overwrite=True), "file:///d/", "ab12").labels["orders"]
