"""The table, row by row: what is seen, where the run goes, what is done about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.factories import NOW, RUN_ID, SIZE, a_failure, a_plan, a_run, an_attempt, facts_of, seen, told

from epydrop.decide import Decision, decide
from epydrop.effects import CancelJob, SubmitJob
from epydrop.errors import Problem
from epydrop.events import CancelRequested, CheckRequested, FileDropped, JobChanged, OutputRequested, RetryRequested
from epydrop.facts import Facts, ManifestSeen, Offer
from epydrop.indices import Indices
from epydrop.jobs import JobState, TaskCounts
from epydrop.names import JobName, Stage
from epydrop.run import Cause, Changes, Dropped, Phase, Run
from epydrop.table import TABLE

CHECK = CheckRequested(RUN_ID)
ENDED = JobState.FAILED
DONE = JobState.SUCCEEDED
FOUR = Indices.below(4)
MANIFEST = ManifestSeen(4, {"here": (0, 2), "there": (2, 4)})


def decided(run: Run | None, facts: Facts, event: object = CHECK, at: object = NOW) -> Decision:
    """The decision, on a check unless another event is named."""
    return decide(run, event, facts, at)


def runner(*attempts: object, **changes: object) -> Run:
    """A run in its runner stage."""
    return a_run(Phase.RUNNER, *(attempts or (seen(an_attempt(Stage.RUNNER)),)), **changes)


def failed_tasks(**causes: str) -> dict[Cause, Indices]:
    """``preempted='0-1'`` as the facts have it."""
    return {Cause(cause): Indices.parse(text) for cause, text in causes.items()}


def kick(kind: type = CancelRequested, *, minutes_ago: float = 1, kick_id: str = "kick-1", **more: object) -> object:
    """A kick of this kind, sent a little while ago."""
    return kind(RUN_ID, kick_id, NOW - timedelta(minutes=minutes_ago), **more)


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

    decision = decided(run, facts_of(run, DONE, missing=Indices()), kick())

    assert decision.effects == told(decision.run)


def test_a_known_kick_changes_nothing() -> None:
    """Pub/Sub delivers at least once."""
    run = a_run(Phase.CANCELLED, kicks=("kick-1",))

    decision = decided(run, facts_of(run, JobState.CANCELLED), kick(RetryRequested))

    assert (decision.row, decision.run.phase) == ("kick-known", Phase.CANCELLED)


def test_a_kick_sent_before_the_current_attempt_began_changes_nothing() -> None:
    """It was meant for an earlier one."""
    run = runner()

    decision = decided(run, facts_of(run), kick(minutes_ago=61))

    assert (decision.row, decision.run.phase) == ("kick-stale", Phase.RUNNER)
    assert not decision.run.knows("kick-1")


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


# -- the job that should exist -------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.BUILDER, Phase.RUNNER, Phase.OUTPUT])
def test_a_job_that_was_never_seen_is_submitted_again(phase: Phase) -> None:
    """Under the same id, so that twice is once."""
    run = a_run(phase, an_attempt(Stage(phase)))

    decision = decided(run, facts_of(run, None))

    assert (decision.row, decision.effects) == ("submit-again", (SubmitJob(run.current.job_id),))


def test_a_job_that_is_missing_for_a_moment_is_waited_for() -> None:
    """A read may lag behind a create."""
    run = runner(seen(an_attempt(Stage.RUNNER), ago=timedelta(minutes=14)))

    decision = decided(run, facts_of(run, None, missing=FOUR))

    assert (decision.row, decision.effects, decision.changed) == ("unreadable", (), False)


def test_a_job_that_was_deleted_ends_the_run() -> None:
    """What it would have told is gone with it."""
    run = runner(seen(an_attempt(Stage.RUNNER), ago=timedelta(minutes=16)))

    decision = decided(run, facts_of(run, None, missing=Indices.of([3])))

    assert (decision.run.phase, decision.run.cause, decision.row) == (Phase.FAILED, Cause.DELETED, "deleted")
    assert decision.run.missing == Indices.of([3])


@pytest.mark.parametrize("phase", [Phase.BUILDER, Phase.OUTPUT])
def test_a_product_that_cannot_be_read_ends_the_run(phase: Phase) -> None:
    """No later look would find it mended; the person is told what it is, and what makes it anew."""
    run = a_run(phase)

    decision = decide(run, CheckRequested(RUN_ID), facts_of(run, JobState.SUCCEEDED, damage="it is no JSON"), NOW)

    assert (decision.run.phase, decision.run.cause, decision.row) == (Phase.FAILED, Cause.CODE, "damaged")
    assert "it is no JSON" in decision.reason
    assert f"retry from the {phase}" in decision.reason


def test_a_deleted_job_whose_product_is_complete_does_no_harm() -> None:
    """What should be there is there."""
    run = runner(seen(an_attempt(Stage.RUNNER), ago=timedelta(minutes=16)))

    assert decided(run, facts_of(run, None, missing=Indices())).run.phase is Phase.OUTPUT


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


# -- the runner ----------------------------------------------------------------------------------


def test_all_results_lead_to_the_output_stage() -> None:
    """Which is told of no gaps."""
    run = runner()

    decision = decided(run, facts_of(run, DONE, missing=Indices()))

    assert (decision.run.phase, decision.row, decision.run.is_partial) == (Phase.OUTPUT, "all-results", False)
    assert decision.run.outputs == decision.run.current.orders.outputs == "outputs/20261122-120000/"


def test_only_the_tasks_that_may_come_through_begin_again() -> None:
    """Task 1 was preempted, task 2 has a bug, the others are done."""
    run = runner()
    causes = failed_tasks(preempted="1", code="2")

    decision = decided(run, facts_of(run, ENDED, missing=Indices.of([1, 2]), causes=causes))

    orders = decision.run.current.orders
    assert (decision.run.phase, decision.row) == (Phase.RUNNER, "rerun-missing")
    assert (orders.indices, orders.attempt, orders.overwrite) == (Indices.of([1]), 2, False)


def test_a_result_that_is_not_there_although_its_task_ended_well_is_made_again() -> None:
    """Somebody may have deleted it."""
    run = runner()

    decision = decided(run, facts_of(run, ENDED, missing=Indices.of([0])))

    assert decision.run.current.orders.indices == Indices.of([0])


def test_enough_results_are_published_and_marked_partial() -> None:
    """The output stage is told which results to do without, and why."""
    run = runner(plan=a_plan(min_success=0.75))
    causes = failed_tasks(code="3")

    decision = decided(run, facts_of(run, ENDED, missing=Indices.of([3]), causes=causes))

    assert (decision.run.phase, decision.row, decision.run.is_partial) == (Phase.OUTPUT, "enough-results", True)
    assert decision.run.current.orders.missing == Indices.of([3])
    assert decision.run.current.orders.causes == {"code": Indices.of([3])}


@pytest.mark.parametrize(("required", "phase"), [((), Phase.OUTPUT), (("there",), Phase.FAILED)])
def test_a_required_location_must_reach_min_success_by_itself(required: tuple[str, ...], phase: Phase) -> None:
    """Three quarters of all, but only half of there."""
    locations = {name: MANIFEST.locations[name] for name in required}
    run = runner(plan=a_plan(min_success=0.75, required=required), locations=locations)

    decision = decided(run, facts_of(run, ENDED, missing=Indices.of([3]), causes=failed_tasks(code="3")))

    assert decision.run.phase is phase


def test_too_few_results_fail_the_run_with_the_digest() -> None:
    """How many are missing, and why."""
    run = runner()
    facts = facts_of(run, ENDED, missing=Indices.of([3]), causes=failed_tasks(code="3"), failures=(a_failure(count=1),))

    decision = decided(run, facts)

    assert decision.run.phase is Phase.FAILED
    assert decision.run.reason.startswith("the runner failed: 1 of 4 results are missing: 1 x ValueError")


def test_tasks_that_all_fail_alike_are_stopped() -> None:
    """The others would fail too, and cost as much."""
    run = runner()

    decision = decided(run, facts_of(run, counts=TaskCounts(failed=20, pending=80), failures=(a_failure(),)))

    assert (decision.run.phase, decision.row) == (Phase.FAILED, "fail-alike")
    assert decision.effects[0] == CancelJob(run.current.job_id)


@pytest.mark.parametrize(
    ("counts", "groups"),
    [
        (TaskCounts(failed=19), 1),
        (TaskCounts(failed=30, succeeded=1), 1),
        (TaskCounts(failed=30), 2),
        (TaskCounts(failed=30), 0),
    ],
)
def test_tasks_that_fail_in_other_ways_go_on(counts: TaskCounts, groups: int) -> None:
    """Fewer than 20, or one came through, or for different reasons, or for none that is known."""
    run = runner()
    failures = tuple(a_failure(fingerprint=str(number)) for number in range(groups))

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

    decision = decided(run, facts_of(run, ENDED, refused=Indices.of([2]), causes=failed_tasks(code="0")))

    orders = decision.run.current.orders
    assert (decision.run.phase, decision.row) == (Phase.RUNNER, "rerun-refused")
    assert (orders.indices, orders.attempt, orders.overwrite) == (Indices.of([2]), 2, True)


def test_a_refused_result_that_was_lost_again_is_still_overwritten() -> None:
    """The bad one still lies there, and would be taken for finished."""
    rerun = seen(an_attempt(Stage.RUNNER, 2, indices=Indices.of([2]), overwrite=True))
    run = runner(seen(an_attempt(Stage.RUNNER)), rerun, missing=Indices.of([2]))

    decision = decided(run, facts_of(run, ENDED, missing=Indices.of([2]), causes=failed_tasks(preempted="2")))

    assert decision.run.current.orders.overwrite


def test_results_that_are_refused_too_often_fail_the_run() -> None:
    """The runner's budget is spent."""
    spent = [seen(an_attempt(Stage.RUNNER, number)) for number in (1, 2, 3)]
    run = a_run(Phase.OUTPUT, *spent, seen(an_attempt(Stage.OUTPUT)))

    decision = decided(run, facts_of(run, ENDED, refused=Indices.of([2]), causes=failed_tasks(code="0")))

    assert (decision.run.phase, decision.row) == (Phase.FAILED, "failed")


def test_an_output_stage_that_was_lost_begins_again_in_a_folder_of_its_own() -> None:
    """Half a set of outputs never mixes with a whole one."""
    run = a_run(Phase.OUTPUT)

    decision = decided(run, facts_of(run, ENDED, causes=failed_tasks(vm_lost="0")))

    assert (decision.run.phase, decision.row) == (Phase.OUTPUT, "output-lost")
    assert decision.run.outputs == "outputs/20261122-120000_2/"


# -- retries and other outputs -------------------------------------------------------------------


def test_a_retry_goes_on_with_what_is_missing_and_the_changes_asked_for() -> None:
    """Whatever the cause was, and with a fresh budget."""
    spent = [seen(an_attempt(Stage.RUNNER, number)) for number in (1, 2, 3)]
    run = a_run(Phase.FAILED, *spent, missing=Indices.of([1, 3]))
    event = kick(RetryRequested, changes=Changes(memory_mib=32_000, spot=True))

    decision = decided(run, facts_of(run, ENDED, missing=Indices.of([3]), causes=failed_tasks(code="3")), event)

    orders = decision.run.current.orders
    assert (decision.run.phase, decision.row, decision.run.kicked_after) == (Phase.RUNNER, "retry", 3)
    assert (orders.indices, orders.attempt, orders.kick_id) == (Indices.of([3]), 4, "kick-1")
    assert (orders.resources.memory_mib, orders.resources.max_memory_mib, orders.resources.spot) == (
        32_000,
        32_000,
        True,
    )


def test_a_retry_of_a_runner_that_lacks_nothing_goes_to_the_output_stage() -> None:
    """The last results came while the run was being cancelled."""
    run = a_run(Phase.CANCELLED, seen(an_attempt(Stage.RUNNER)), missing=FOUR)

    decision = decided(run, facts_of(run, JobState.CANCELLED, missing=Indices()), kick(RetryRequested))

    assert decision.run.phase is Phase.OUTPUT


def test_a_retry_of_a_builder_that_had_finished_goes_to_the_runner() -> None:
    """Its manifest is there."""
    run = a_run(Phase.FAILED, seen(an_attempt()), tasks=None)

    decision = decided(run, facts_of(run, ENDED, manifest=MANIFEST), kick(RetryRequested))

    assert (decision.run.phase, decision.row, decision.run.tasks) == (Phase.RUNNER, "retry-built", 4)


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
    assert orders.indices == (FOUR if stage is Stage.RUNNER else Indices.below(1))


def test_a_retry_from_the_output_stage_first_fetches_what_is_missing() -> None:
    """Too many gaps are not published just because somebody is in a hurry."""
    run = a_run(Phase.CANCELLED, seen(an_attempt(Stage.RUNNER)), missing=FOUR)
    event = kick(RetryRequested, from_stage=Stage.OUTPUT)

    decision = decided(run, facts_of(run, JobState.CANCELLED, missing=Indices.of([0])), event)

    assert (decision.run.phase, decision.run.results) == (Phase.RUNNER, "runner-artifacts/")


def test_a_partial_run_can_be_completed() -> None:
    """A retry computes the gaps, and the outputs are made again."""
    run = a_run(
        Phase.SUCCEEDED, seen(an_attempt(Stage.RUNNER)), seen(an_attempt(Stage.OUTPUT)), missing=Indices.of([3])
    )

    decision = decided(run, facts_of(run, DONE, complete=True), kick(RetryRequested))

    assert (decision.run.phase, decision.run.current.orders.indices) == (Phase.RUNNER, Indices.of([3]))


def test_a_lost_output_stage_of_a_partial_run_is_retried_with_the_same_gaps() -> None:
    """Nobody asked for the gaps to be filled."""
    run = a_run(
        Phase.FAILED,
        seen(an_attempt(Stage.RUNNER)),
        seen(an_attempt(Stage.OUTPUT)),
        missing=Indices.of([3]),
        plan=a_plan(min_success=0.5),
    )

    decision = decided(run, facts_of(run, ENDED, causes=failed_tasks(code="0")), kick(RetryRequested))

    assert (decision.run.phase, decision.run.current.orders.missing) == (Phase.OUTPUT, Indices.of([3]))


def test_a_retry_of_a_run_that_lacks_nothing_is_needless() -> None:
    """And says so."""
    run = a_run(Phase.SUCCEEDED)

    decision = decided(run, facts_of(run, DONE), kick(RetryRequested))

    assert (decision.row, decision.run.phase) == ("retry-needless", Phase.SUCCEEDED)


def test_a_rejected_run_cannot_be_retried() -> None:
    """The file must be mended."""
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
    lost = decided(begun.run, facts_of(begun.run, ENDED, causes={Cause.PREEMPTED: Indices.below(1)}))

    assert (begun.row, lost.row) == ("output-again", "output-lost")
    assert begun.run.problems == ()
    assert [each.run.current.orders.output_config for each in (begun, lost)] == [config, config]


def test_a_failed_second_set_of_outputs_leaves_the_first_standing() -> None:
    """The person is told that it stands."""
    run = a_run(Phase.OUTPUT, published="outputs/20261122-100000/")

    decision = decided(run, facts_of(run, ENDED, causes={Cause.CODE: Indices.below(1)}))

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


def test_every_row_of_the_table_has_an_example_above() -> None:
    """A row that no example needs is a row that nobody needs."""
    examples = Path(__file__).read_text()

    assert [row.name for row in TABLE if f'"{row.name}"' not in examples] == []


some_indices = st.builds(Indices.of, st.sets(st.integers(0, 3)))
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
