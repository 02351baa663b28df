"""The table: (phase, what the facts show) -> (phase, effects). Pure and total; nothing else moves a run.

The first row of a phase whose condition holds is taken. Entering a phase implies its effects. After the
row, whatever it was, one rule holds for all: a person who has not heard the newest news is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from epydrop import steps
from epydrop.attempts import attempts_left, next_attempt
from epydrop.effects import Effect, Publish, WriteReply
from epydrop.events import FileDropped, Kick, RunEvent
from epydrop.facts import Facts
from epydrop.indices import Indices
from epydrop.jobs import JobView
from epydrop.names import Stage, run_id_of
from epydrop.run import Attempt, Cause, Phase, Run
from epydrop.situation import Situation
from epydrop.steps import Step, stay

OPEN = (Phase.BUILDER, Phase.RUNNER, Phase.OUTPUT)
TERMINAL = (Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED, Phase.REJECTED)


@dataclass(frozen=True)
class Decision:
    """The step that was taken, by which row; ``changed`` tells whether there is anything to save."""

    run: Run
    effects: tuple[Effect, ...]
    reason: str
    row: str
    changed: bool


@dataclass(frozen=True)
class Row:
    """One row of the table. ``to`` are the phases that it may lead to; none means that it stays."""

    name: str
    phases: tuple[Phase, ...]
    when: Callable[[Situation], object]
    then: Callable[[Situation], Step]
    to: tuple[Phase, ...] = ()
    words: str = ""  # what stands on the arrow of the state diagram

    @property
    def arrows(self) -> tuple[tuple[Phase, Phase], ...]:
        """From which phase to which the row may lead."""
        return tuple((phase, to) for phase in self.phases for to in self.to)


# -- the table -----------------------------------------------------------------------------------

TABLE: tuple[Row, ...] = (
    # any phase
    Row("kick-known", OPEN + TERMINAL, lambda it: it.is_known_kick, stay("this kick was taken up before")),
    Row(
        "kick-stale",
        OPEN + TERMINAL,
        lambda it: it.is_stale_kick,
        stay("the kick was sent before the current attempt began"),
    ),
    # open phases: kicks
    Row("cancel", OPEN, lambda it: it.is_cancel, steps.cancel, (Phase.CANCELLED,), "cancel"),
    Row("retry-open", OPEN, lambda it: it.asked_retry, stay("the run is still at work; cancel it first")),
    Row("output-open", OPEN, lambda it: it.is_output_request, stay("the run is still at work")),
    # open phases: the job that should exist
    Row("job-refused", OPEN, lambda it: it.facts.refusal, steps.fail_refused_job, (Phase.FAILED,), "job refused"),
    Row("submit-again", OPEN, lambda it: it.was_never_seen, steps.submit_again),
    Row("unreadable", OPEN, lambda it: it.is_unreadable, stay("the job cannot be found just now")),
    # how each stage ends well
    Row(
        "required-absent",
        (Phase.BUILDER,),
        lambda it: it.has_ended and it.lacks_required_location,
        steps.reject_unplanned_location,
        (Phase.REJECTED,),
        "no task for a required location",
    ),
    Row(
        "built",
        (Phase.BUILDER,),
        lambda it: it.has_ended and it.facts.manifest and not it.was_cancelled_by_someone,
        steps.start_runner,
        (Phase.RUNNER,),
        "manifest present",
    ),
    Row(
        "published",
        (Phase.OUTPUT,),
        lambda it: it.has_ended and it.facts.complete,
        steps.succeed,
        (Phase.SUCCEEDED,),
        "complete.json present",
    ),
    Row(
        "job-cancelled",
        OPEN,
        lambda it: it.was_cancelled_by_someone,
        steps.follow_cancel,
        (Phase.CANCELLED,),
        "job cancelled",
    ),
    Row(
        "all-results",
        (Phase.RUNNER,),
        lambda it: it.has_ended and it.has_every_result,
        steps.start_output,
        (Phase.OUTPUT,),
        "no result missing",
    ),
    # how each stage ends otherwise
    Row("deleted", OPEN, lambda it: it.is_gone, steps.fail_deleted, (Phase.FAILED,), "job deleted"),
    Row(
        "bad-input",
        (Phase.BUILDER,),
        lambda it: it.has_ended and it.input_is_wrong,
        steps.reject,
        (Phase.REJECTED,),
        "input is wrong",
    ),
    Row(
        "rerun-missing",
        (Phase.RUNNER,),
        lambda it: it.has_ended and it.again and attempts_left(it.run, Stage.RUNNER),
        steps.rerun_missing,
        (Phase.RUNNER,),
        "causes that may pass: those tasks again",
    ),
    Row(
        "enough-results",
        (Phase.RUNNER,),
        lambda it: it.has_ended and it.is_enough,
        steps.start_partial_output,
        (Phase.OUTPUT,),
        "enough results (partial)",
    ),
    Row(
        "rerun-refused",
        (Phase.OUTPUT,),
        lambda it: it.has_ended and it.facts.refused and attempts_left(it.run, Stage.RUNNER),
        steps.rerun_refused,
        (Phase.RUNNER,),
        "results refused: those tasks again",
    ),
    Row(
        "builder-again",
        (Phase.BUILDER,),
        lambda it: it.has_ended and it.stage_may_pass and attempts_left(it.run, Stage.BUILDER),
        steps.again,
        (Phase.BUILDER,),
        "cause may pass: again",
    ),
    Row(
        "output-lost",
        (Phase.OUTPUT,),
        lambda it: it.has_ended and not it.facts.refused and it.stage_may_pass and attempts_left(it.run, Stage.OUTPUT),
        steps.again,
        (Phase.OUTPUT,),
        "cause may pass: again",
    ),
    Row("failed", OPEN, lambda it: it.has_ended, steps.fail, (Phase.FAILED,), "ended without its product"),
    # while the job lives
    Row("stuck", OPEN, lambda it: it.is_stuck, steps.fail_stuck, (Phase.FAILED,), "waited longer than max_wait"),
    Row(
        "fail-alike",
        (Phase.RUNNER,),
        lambda it: it.fails_alike,
        steps.fail_alike,
        (Phase.FAILED,),
        "all tasks fail alike",
    ),
    Row("at-work", OPEN, lambda _: True, steps.note),
    # terminal phases
    Row("call-off", TERMINAL, lambda it: it.is_cancel and it.run.pending, steps.drop_pending),
    Row("retry-waits", TERMINAL, lambda it: it.can_resume and not it.is_at_rest and it.asked_retry, steps.keep_retry),
    Row(
        "retry-built",
        (Phase.FAILED, Phase.CANCELLED),
        lambda it: (
            it.can_resume
            and it.is_at_rest
            and it.retry
            and it.retry.scope == "missing"
            and it.attempt.stage is Stage.BUILDER
            and it.facts.manifest
            and not it.lacks_required_location
        ),
        steps.take_up_manifest,
        (Phase.RUNNER,),
        "retry, manifest present",
    ),
    Row(
        "retry",
        (Phase.FAILED, Phase.CANCELLED, Phase.SUCCEEDED),
        lambda it: it.can_resume and it.is_at_rest,
        steps.resume,
        OPEN,
        "retry",
    ),
    Row(
        "output-again",
        (Phase.SUCCEEDED,),
        lambda it: it.is_output_request and it.is_at_rest,
        steps.output_again,
        (Phase.OUTPUT,),
        "output asked for",
    ),
    Row(
        "retry-rejected",
        (Phase.REJECTED,),
        lambda it: it.asked_retry,
        stay("a rejected experiment cannot be retried; mend the file and drop it again"),
    ),
    Row("retry-needless", (Phase.SUCCEEDED,), lambda it: it.asked_retry, stay("nothing is missing")),
    Row("leftover", TERMINAL, lambda it: it.is_live and not it.is_being_cancelled, steps.cancel_leftover),
    Row(
        "settled", TERMINAL, lambda it: it.is_at_rest and it.run.told == it.run.news and it.run.unsettled, steps.settle
    ),
    Row("ended", TERMINAL, lambda _: True, stay("the run has ended")),
)


# -- decide --------------------------------------------------------------------------------------


def decide(run: Run | None, event: RunEvent, facts: Facts, now: datetime) -> Decision:
    """What follows from the facts, for any run, event and facts; at worst "unchanged, because ..."."""
    if run is None:
        return _found(event, facts, now)
    noted = _noted(run, facts, now)
    it = Situation(noted, event, facts, now)
    row = next(row for row in TABLE if noted.phase in row.phases and row.when(it))
    step = row.then(it)
    taken = step.run
    if isinstance(event, Kick) and row.name not in _KICKS_NOT_TAKEN:
        taken = taken.having_taken(event.kick_id)
    return _told(run, replace(step, run=taken), row.name, now)


_KICKS_NOT_TAKEN = frozenset({"kick-known", "kick-stale"})


def _found(event: RunEvent, facts: Facts, now: datetime) -> Decision:
    """A run is born of a valid file, and of an invalid one too: it is rejected, and stays to say why."""
    offer = facts.offer
    if not isinstance(event, FileDropped) or offer is None:
        raise AssertionError("only a dropped file that was read founds a run")
    dropped = event.dropped
    run = Run(
        run_id=run_id_of(dropped.bucket, dropped.name, dropped.generation, dropped.created),
        exp_id=offer.exp_id,
        run_url=offer.run_url,
        dropped=dropped,
        plan=offer.plan,
        phase=Phase.BUILDER,
        reason="",
        created=now,
        updated=now,
    )
    if offer.problems:
        problems = tuple(str(problem) for problem in offer.problems)
        rejected = replace(run, phase=Phase.REJECTED, problems=problems, cause=Cause.BAD_INPUT)
        return _told(None, Step(rejected, f"the file has {len(problems)} problem(s)"), "drop-invalid", now)
    step = steps.begin(run, next_attempt(run, Stage.BUILDER, now), "the file was dropped and is valid")
    return _told(None, step, "drop-valid", now)


def _noted(run: Run, facts: Facts, now: datetime) -> Run:
    """The run with what the facts say of its current attempt, and of the effects that were just performed."""
    if {WriteReply(run.news).id, Publish(run.news).id} <= facts.performed:
        run = replace(run, told=run.news)
    attempt = run.current
    if attempt is None or facts.job is None or (facts.stage, facts.attempt) != (attempt.stage, attempt.orders.attempt):
        return run
    return replace(run, attempts=(*run.attempts[:-1], _seen(attempt, facts.job, facts.causes, now)))


def _seen(attempt: Attempt, job: JobView, causes: dict[Cause, Indices], now: datetime) -> Attempt:
    return replace(
        attempt,
        uid=job.uid,
        uid_recorded=attempt.uid_recorded or now,
        state=job.state,
        created=job.created,
        counts=job.counts,
        ended=attempt.ended or (now if job.state.is_ended else None),
        causes=causes or attempt.causes,
    )


def _told(stored: Run | None, step: Step, row: str, now: datetime) -> Decision:
    """The decision, with the news told to whoever has not heard it."""
    run, effects = step.run, step.effects
    if run.told != run.news:
        effects = (*effects, WriteReply(run.news), Publish(run.news))
    if step.effects:
        run = replace(run, unsettled=True)
    if run == stored:
        return Decision(run, effects, step.reason, row, changed=False)
    saved = replace(run, serial=run.serial + 1, updated=now, reason=_reason(stored, step, row))
    return Decision(saved, effects, step.reason, row, changed=True)


def _reason(stored: Run | None, step: Step, row: str) -> str:
    """Why the run is where it is: a step that moved nothing and saw nothing new leaves the old words."""
    run = step.run
    moved = stored is None or run.phase is not stored.phase or len(run.attempts) != len(stored.attempts)
    return step.reason if moved or row == "at-work" or stored is None else stored.reason
