"""The transitions that the rows of the table make: the next run, its effects, and the reason in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from epydrop.core.attempts import next_attempt
from epydrop.core.causes import Cause
from epydrop.core.conditions import Conditions
from epydrop.core.effects import CancelJob, Effect, SubmitJob
from epydrop.core.phases import Phase
from epydrop.core.run import Attempt, Changes, Retry, Run
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage, artifacts_folder
from epydrop.machine_types import fitted


@dataclass(frozen=True)
class Transition:
    """The next run, the effects to perform, and the reason in one sentence."""

    run: Run
    reason: str
    effects: tuple[Effect, ...] = ()
    is_unchanged: bool = False  # what the event asked for was not done
    is_progress: bool = False  # the reason replaces the run's, although the phase stays


def stay(reason: str) -> Callable[[Conditions], Transition]:
    """A transition that changes nothing, for this reason."""
    return lambda it: Transition(it.run, f"unchanged, because {reason}", is_unchanged=True)


def begin(run: Run, attempt: Attempt, reason: str) -> Transition:
    """Enter the attempt's stage and submit its job."""
    begun = replace(
        run,
        phase=Phase(attempt.stage),
        attempts=(*run.attempts, attempt),
        outputs=attempt.orders.outputs or run.outputs,
        cause=None,
        failures=(),
        pending=None,
    )
    return Transition(begun, reason, (SubmitJob(attempt.job_id),))


def end(it: Conditions, phase: Phase, reason: str, *, cause: Cause | None = None) -> Transition:
    """End the run; cancel its job unless that has ended."""
    ended = replace(it.next_run, phase=phase, cause=cause, failures=it.facts.failures, closed=it.now)
    effects = () if it.has_ended else (CancelJob(it.attempt.job_id),)
    return Transition(ended, reason, effects)


def start_runner(it: Conditions, *, kick_id: str = "") -> Transition:
    """Start all tasks of the builder's manifest."""
    manifest = it.facts.manifest
    if manifest is None:
        raise AssertionError("a row began the runner without a manifest")
    known = replace(
        it.run,
        tasks=manifest.tasks,
        missing=IndexSet.below(manifest.tasks),
        locations={name: manifest.locations[name] for name in it.run.plan.required},
    )
    attempt = next_attempt(known, Stage.RUNNER, it.now, indices=known.missing, kick_id=kick_id)
    return begin(known, attempt, f"the builder made {manifest.tasks} tasks")


def reject(it: Conditions) -> Transition:
    """Reject the experiment with the problems that the builder reported."""
    problems = tuple(str(problem) for problem in it.facts.problems) or tuple(str(group) for group in it.facts.failures)
    step = end(it, Phase.REJECTED, "the experiment asks for something that cannot be done", cause=Cause.BAD_INPUT)
    # The problems came in an error record, which would repeat them as a failure.
    return replace(step, run=replace(step.run, problems=problems, failures=()))


def reject_unplanned_location(it: Conditions) -> Transition:
    """Reject an experiment that makes no task for a location it requires, before the runner costs anything."""
    made = it.facts.manifest.locations if it.facts.manifest else {}
    absent = ", ".join(name for name in it.run.plan.required if name not in made)
    step = end(it, Phase.REJECTED, f"no task was made for the required {absent}", cause=Cause.BAD_INPUT)
    problem = f"run.required names {absent}, for which the experiment makes no task; it makes {', '.join(made)}"
    return replace(step, run=replace(step.run, problems=(problem,)))


def start_output(it: Conditions) -> Transition:
    """Start the output stage with every result."""
    run = it.next_run
    return begin(run, next_attempt(run, Stage.OUTPUT, it.now), f"all {run.tasks} results are there")


def start_partial_output(it: Conditions) -> Transition:
    """Start the output stage without the missing results, which its orders list."""
    run = it.next_run
    reason = f"{len(run.missing)} of {run.tasks} results are missing, which min_success allows"
    step = begin(run, next_attempt(run, Stage.OUTPUT, it.now), reason)
    return replace(step, run=replace(step.run, failures=it.facts.failures))


def rerun_missing(it: Conditions) -> Transition:
    """Run only those missing tasks again that may succeed."""
    attempt = next_attempt(it.next_run, Stage.RUNNER, it.now, indices=it.again)
    return begin(it.next_run, attempt, f"{len(it.again)} of {len(it.missing)} missing results may still come")


def rerun_refused(it: Conditions) -> Transition:
    """Run the tasks again whose results the output stage refused, overwriting those results."""
    refused = it.facts.refused or IndexSet()
    run = replace(it.run, missing=it.run.missing | refused)
    attempt = next_attempt(run, Stage.RUNNER, it.now, indices=refused, overwrite=True)
    return begin(run, attempt, f"the output stage refused {len(refused)} results; they are made again")


def again(it: Conditions) -> Transition:
    """Run the single task of the stage again."""
    causes = " and ".join(sorted(it.attempt.causes))
    attempt = next_attempt(it.run, it.attempt.stage, it.now)
    return begin(it.run, attempt, f"the {it.attempt.stage} was lost ({causes}), which may pass")


def succeed(it: Conditions) -> Transition:
    """End the run with complete outputs."""
    gaps = f" without {len(it.run.missing)} of {it.run.tasks} results" if it.run.missing else ""
    step = end(it, Phase.SUCCEEDED, f"the outputs are complete{gaps}")
    run = replace(step.run, failures=it.run.failures, published=it.run.outputs, quality=it.facts.quality)
    return replace(step, run=run)


def fail(it: Conditions) -> Transition:
    """End the run with the digest of its failures."""
    groups = "; ".join(str(group) for group in it.facts.failures)
    detail = (
        groups or (it.job.detail if it.job else "") or ", ".join(sorted(it.attempt.causes)) or "no cause was recorded"
    )
    gaps = f"{len(it.missing)} of {it.run.tasks} results are missing: " if it.attempt.stage is Stage.RUNNER else ""
    causes = it.attempt.causes or {Cause.CODE: IndexSet()}
    # Sorted, because stored causes lose their order, and the same facts must lead to the same decision.
    worst = max(sorted(causes), key=lambda cause: len(causes[cause]))
    standing = f"; the outputs in {it.run.published} stand" if it.run.published else ""
    return end(it, Phase.FAILED, f"the {it.attempt.stage} failed: {gaps}{detail}{standing}", cause=worst)


def fail_alike(it: Conditions) -> Transition:
    """Stop early: the remaining tasks would fail for the same reason, and cost money."""
    group = it.facts.failures[0]
    return end(it, Phase.FAILED, f"stopped early, since all tasks fail alike: {group}", cause=group.cause)


def fail_stuck(it: Conditions) -> Transition:
    """End a run whose job got no machine, or could not be submitted, within ``max_wait``."""
    what = "waited for machines" if it.job else "could not be submitted"
    reason = f"the {it.attempt.stage} {what} for longer than {it.run.plan.max_wait / 3600:g} h (max_wait)"
    return end(it, Phase.FAILED, reason, cause=Cause.STUCK)


def fail_deleted(it: Conditions) -> Transition:
    """End a run whose job was deleted: nothing more can be learned about it."""
    return end(it, Phase.FAILED, f"somebody deleted the job {it.attempt.job_id}", cause=Cause.DELETED)


def fail_damaged(it: Conditions) -> Transition:
    """End a run whose product is unreadable; a retry from that stage replaces it."""
    stage = it.attempt.stage
    reason = f"what the {stage} left is damaged: {it.facts.damage}; a retry from the {stage} makes it anew"
    return end(it, Phase.FAILED, reason, cause=Cause.CODE)


def fail_refused_job(it: Conditions) -> Transition:
    """End a run whose job the service refuses permanently."""
    return end(it, Phase.FAILED, f"the job {it.attempt.job_id} was refused: {it.facts.refusal}", cause=Cause.WIRING)


def cancel(it: Conditions) -> Transition:
    """Cancel the run for a kick."""
    return end(it, Phase.CANCELLED, "cancelled by a kick")


def follow_cancel(it: Conditions) -> Transition:
    """Cancel the run because somebody cancelled its job."""
    return end(it, Phase.CANCELLED, f"somebody cancelled the job {it.attempt.job_id}")


def drop_pending(it: Conditions) -> Transition:
    """Drop the pending retry for a cancel."""
    return Transition(replace(it.run, pending=None), "the retry that was waiting is called off")


def overtaken(it: Conditions) -> Transition:
    """Leave out a kick that was sent before one that counts."""
    sent = f"{it.run.kick_sent:%H:%M:%S}"
    return Transition(
        it.run, f"unchanged, because a kick that was sent after this one, at {sent} UTC, counts", is_unchanged=True
    )


def submit_again(it: Conditions) -> Transition:
    """Submit the job again; under the same id, submitting twice is harmless."""
    return Transition(it.run, "the job that should exist was never seen", (SubmitJob(it.attempt.job_id),))


def note(it: Conditions) -> Transition:
    """Record the job's progress."""
    job = it.job
    if job is None:
        return Transition(it.run, "unchanged, because nothing is known of the job", is_unchanged=True, is_progress=True)
    counts = job.counts
    done = f"{counts.succeeded} done, {counts.failed} failed, {counts.running} running, {counts.pending} to come"
    return Transition(it.run, f"the {it.attempt.stage} is {job.state.lower()}: {done}", is_progress=True)


def cancel_leftover(it: Conditions) -> Transition:
    """Cancel a job that is live although its run has ended: a late submit, or a lost cancel."""
    return Transition(it.run, f"the run is {it.run.phase}, but its job is live", (CancelJob(it.attempt.job_id),))


def keep_retry(it: Conditions) -> Transition:
    """Keep the retry until the old job is known to have ended: two jobs must not write the same results."""
    kept = replace(it.run, pending=it.asked_retry, unsettled=True)
    effects = (CancelJob(it.attempt.job_id),) if it.is_live else ()
    return Transition(kept, "the retry begins when the old job has ended", effects)


def output_again(it: Conditions) -> Transition:
    """Run the output stage again, into a new outputs folder."""
    run = replace(it.run, kicked_after=len(it.run.attempts), output_config=it.output_config, problems=())
    attempt = next_attempt(run, Stage.OUTPUT, it.now, kick_id=it.kick_id)
    return begin(run, attempt, "another set of outputs was asked for")


def refuse_output(it: Conditions) -> Transition:
    """Refuse an invalid output configuration; the existing outputs stay."""
    problems = tuple(str(problem) for problem in it.facts.problems)
    return Transition(
        replace(it.run, problems=problems), f"the other outputs that were asked for have {len(problems)} problem(s)"
    )


def resume(it: Conditions) -> Transition:
    """Resume at the failed or requested stage, with the requested changes and all attempts available again."""
    retry = retry_of(it)
    stage = stage_to_resume(it, retry)
    run = replace(it.next_run, kicked_after=len(it.run.attempts), problems=())
    if it.run.phase is Phase.SUCCEEDED:  # the extra outputs that a person asked for are done
        run = replace(run, output_config={})
    run = changed(run, stage, retry.changes)
    afresh = retry.scope in (Stage.BUILDER, Stage.RUNNER)
    if afresh:
        run = new_round(run, stage)
    refused = IndexSet() if afresh else it.facts.refused or IndexSet()
    run = replace(run, missing=run.missing | refused)
    indices = run.missing if stage is Stage.RUNNER else IndexSet.below(1)
    attempt = next_attempt(run, stage, it.now, indices=indices, overwrite=bool(refused), kick_id=it.kick_id)
    reason = f"retried: all is computed again from the {stage}" if afresh else f"retried: the {stage} goes on"
    return begin(run, attempt, reason)


def retry_of(it: Conditions) -> Retry:
    """The retry to take up; the row's condition guarantees one."""
    if it.retry is None:
        raise AssertionError("a row resumed a run that nobody retries")
    return it.retry


def changed(run: Run, stage: Stage, changes: Changes) -> Run:
    """The run with the changes applied to the stage, and those that hold for later stages to them."""
    stages = dict(run.plan.stages)
    order = list(Stage)
    for each in order[order.index(stage) :]:
        asked = changes if each is stage else changes.for_later_stages
        stages[each] = fitted(asked.applied_to(stages[each]))
    return replace(run, plan=replace(run.plan, stages=stages))


def stage_to_resume(it: Conditions, retry: Retry) -> Stage:
    """The requested or failed stage, but never the output stage while too many results are missing."""
    if it.run.tasks is None:
        return Stage.BUILDER
    if retry.scope in (Stage.BUILDER, Stage.RUNNER):
        return Stage(retry.scope)
    is_about_output = retry.scope == Stage.OUTPUT or (
        it.attempt.stage is Stage.OUTPUT and it.run.phase is not Phase.SUCCEEDED
    )
    may_have_gaps = is_about_output and it.is_enough
    return Stage.RUNNER if it.facts.refused or (it.missing and not may_have_gaps) else Stage.OUTPUT


def new_round(run: Run, stage: Stage) -> Run:
    """The run with new artifact folders from the stage on, so that old and new results never mix."""
    number = run.round + 1
    fresh = replace(run, round=number, results=artifacts_folder(Stage.RUNNER, number), published="", quality="")
    if stage is Stage.BUILDER:
        return replace(
            fresh, inputs=artifacts_folder(Stage.BUILDER, number), tasks=None, missing=IndexSet(), locations={}
        )
    return replace(fresh, missing=IndexSet.below(run.tasks or 0))


def take_up_manifest(it: Conditions) -> Transition:
    """Start the runner for a retry of a builder whose manifest exists after all."""
    run = changed(it.run, Stage.RUNNER, retry_of(it).changes)
    return start_runner(replace(it, run=replace(run, kicked_after=len(run.attempts))), kick_id=it.kick_id)


def settle(it: Conditions) -> Transition:
    """Mark the run settled, so that the sweep no longer checks it."""
    return Transition(replace(it.run, unsettled=False), "every effect is performed, and no job is live")
