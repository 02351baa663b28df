"""The decision table: (phase, condition) -> transition. The diagram in docs/architecture.md is printed from it.

The first row of a phase whose condition holds is taken. Entering a phase implies its effects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from epydrop.core import transitions
from epydrop.core.attempts import attempts_left
from epydrop.core.conditions import Conditions
from epydrop.core.phases import OPEN, TERMINAL, Phase
from epydrop.core.transitions import Transition, stay
from epydrop.formats.names import Stage


@dataclass(frozen=True)
class Row:
    """One row of the table. ``to`` are the phases that it may lead to; a row without any keeps the phase."""

    name: str
    phases: tuple[Phase, ...]
    when: Callable[[Conditions], object]
    then: Callable[[Conditions], Transition]
    to: tuple[Phase, ...] = ()
    words: str = ""  # the label of the arrow in the state diagram
    records_kick: bool = True  # False: the kick of the event is not remembered as taken up
    is_repeat: bool = False  # the event asks for what an earlier delivery of it has done

    @property
    def arrows(self) -> tuple[tuple[Phase, Phase], ...]:
        """The pairs of phases that the row may connect."""
        return tuple((phase, to) for phase in self.phases for to in self.to)


# -- the table -----------------------------------------------------------------------------------

TABLE: tuple[Row, ...] = (
    # any phase
    Row(
        "kick-known",
        OPEN + TERMINAL,
        lambda it: it.is_known_kick,
        stay("this kick was taken up before"),
        records_kick=False,
        is_repeat=True,
    ),
    Row(
        "kick-stale",
        OPEN + TERMINAL,
        lambda it: it.is_stale_kick,
        transitions.overtaken,
        records_kick=False,
    ),
    # open phases: kicks
    Row("cancel", OPEN, lambda it: it.is_cancel, transitions.cancel, (Phase.CANCELLED,), "cancel"),
    Row("retry-open", OPEN, lambda it: it.asked_retry, stay("the run is still at work; cancel it first")),
    Row("output-open", OPEN, lambda it: it.is_output_request, stay("the run is still at work")),
    # open phases: the job that should exist
    Row("job-refused", OPEN, lambda it: it.facts.refusal, transitions.fail_refused_job, (Phase.FAILED,), "job refused"),
    Row("submit-again", OPEN, lambda it: it.was_never_seen and not it.is_stuck, transitions.submit_again),
    Row("unreadable", OPEN, lambda it: it.is_unreadable, stay("the job cannot be found just now")),
    # how each stage ends well
    Row(
        "required-absent",
        (Phase.BUILDER,),
        lambda it: it.has_ended and it.lacks_required_location,
        transitions.reject_unplanned_location,
        (Phase.REJECTED,),
        "no task for a required location",
    ),
    Row(
        "built",
        (Phase.BUILDER,),
        lambda it: it.has_ended and it.facts.manifest and not it.was_cancelled_by_someone,
        transitions.start_runner,
        (Phase.RUNNER,),
        "manifest present",
    ),
    Row(
        "published",
        (Phase.OUTPUT,),
        lambda it: it.has_ended and it.facts.complete,
        transitions.succeed,
        (Phase.SUCCEEDED,),
        "complete.json present",
    ),
    Row(
        "job-cancelled",
        OPEN,
        lambda it: it.was_cancelled_by_someone,
        transitions.follow_cancel,
        (Phase.CANCELLED,),
        "job cancelled",
    ),
    Row(
        "all-results",
        (Phase.RUNNER,),
        lambda it: it.has_ended and it.has_every_result,
        transitions.start_output,
        (Phase.OUTPUT,),
        "no result missing",
    ),
    # how each stage ends otherwise
    Row("deleted", OPEN, lambda it: it.is_gone, transitions.fail_deleted, (Phase.FAILED,), "job deleted"),
    Row(
        "damaged",
        OPEN,
        lambda it: it.has_ended and it.facts.damage,
        transitions.fail_damaged,
        (Phase.FAILED,),
        "product damaged",
    ),
    Row(
        "bad-input",
        (Phase.BUILDER,),
        lambda it: it.has_ended and it.input_is_wrong,
        transitions.reject,
        (Phase.REJECTED,),
        "input is wrong",
    ),
    Row(
        "rerun-missing",
        (Phase.RUNNER,),
        lambda it: it.has_ended and it.again and attempts_left(it.run, Stage.RUNNER),
        transitions.rerun_missing,
        (Phase.RUNNER,),
        "causes that may pass: those tasks again",
    ),
    Row(
        "enough-results",
        (Phase.RUNNER,),
        lambda it: it.has_ended and it.is_enough,
        transitions.start_partial_output,
        (Phase.OUTPUT,),
        "enough results (partial)",
    ),
    Row(
        "rerun-refused",
        (Phase.OUTPUT,),
        lambda it: it.has_ended and it.facts.refused and attempts_left(it.run, Stage.RUNNER),
        transitions.rerun_refused,
        (Phase.RUNNER,),
        "results refused: those tasks again",
    ),
    Row(
        "builder-again",
        (Phase.BUILDER,),
        lambda it: it.has_ended and it.stage_may_pass and attempts_left(it.run, Stage.BUILDER),
        transitions.again,
        (Phase.BUILDER,),
        "cause may pass: again",
    ),
    Row(
        "output-lost",
        (Phase.OUTPUT,),
        lambda it: it.has_ended and not it.facts.refused and it.stage_may_pass and attempts_left(it.run, Stage.OUTPUT),
        transitions.again,
        (Phase.OUTPUT,),
        "cause may pass: again",
    ),
    Row("failed", OPEN, lambda it: it.has_ended, transitions.fail, (Phase.FAILED,), "ended without its product"),
    # while the job lives
    Row("stuck", OPEN, lambda it: it.is_stuck, transitions.fail_stuck, (Phase.FAILED,), "waited longer than max_wait"),
    Row(
        "fail-alike",
        (Phase.RUNNER,),
        lambda it: it.fails_alike,
        transitions.fail_alike,
        (Phase.FAILED,),
        "all tasks fail alike",
    ),
    Row("at-work", OPEN, lambda _: True, transitions.note),
    # terminal phases
    Row("call-off", TERMINAL, lambda it: it.is_cancel and it.run.pending, transitions.drop_pending),
    Row(
        "retry-waits",
        TERMINAL,
        lambda it: it.can_resume and not it.is_at_rest and it.asked_retry,
        transitions.keep_retry,
    ),
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
        transitions.take_up_manifest,
        (Phase.RUNNER,),
        "retry, manifest present",
    ),
    Row(
        "retry",
        (Phase.FAILED, Phase.CANCELLED, Phase.SUCCEEDED),
        lambda it: it.can_resume and it.is_at_rest,
        transitions.resume,
        OPEN,
        "retry",
    ),
    Row("output-invalid", TERMINAL, lambda it: it.is_output_request and it.facts.problems, transitions.refuse_output),
    Row(
        "output-early",
        TERMINAL,
        lambda it: it.is_output_request and it.may_publish and not it.is_at_rest,
        stay("a job of the run is still alive; ask again when it has ended"),
    ),
    Row(
        "output-again",
        (Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED),
        lambda it: it.is_output_request and it.may_publish,
        transitions.output_again,
        (Phase.OUTPUT,),
        "output asked for",
    ),
    Row(
        "output-needless",
        TERMINAL,
        lambda it: it.is_output_request,
        stay("the results are not there; a retry computes what is missing"),
    ),
    Row(
        "retry-rejected",
        (Phase.REJECTED,),
        lambda it: it.asked_retry,
        stay("a rejected experiment cannot be retried; fix the file and drop it again"),
    ),
    Row("retry-needless", (Phase.SUCCEEDED,), lambda it: it.asked_retry, stay("nothing is missing")),
    Row("leftover", TERMINAL, lambda it: it.is_live and not it.is_being_cancelled, transitions.cancel_leftover),
    Row(
        "settled",
        TERMINAL,
        lambda it: it.is_at_rest and it.run.told == it.run.news and it.run.unsettled,
        transitions.settle,
    ),
    Row("ended", TERMINAL, lambda _: True, stay("the run has ended")),
)
