"""What follows from the facts. Pure and total; nothing else moves a run.

The table says what each row does. After the row, whatever it was, one rule holds for all: a person who has
not heard the newest news is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from epydrop.core import transitions
from epydrop.core.attempts import next_attempt
from epydrop.core.conditions import Conditions
from epydrop.core.effects import Effect, Publish, WriteReply
from epydrop.core.events import FileDropped, Kick, RunEvent
from epydrop.core.jobs import JobView
from epydrop.core.observed_facts import Facts
from epydrop.core.run import Attempt, Cause, Phase, Run
from epydrop.core.table import TABLE
from epydrop.core.transitions import Transition
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage


@dataclass(frozen=True)
class Decision:
    """The step that was taken, by which row; ``changed`` tells whether there is anything to save."""

    run: Run
    effects: tuple[Effect, ...]
    reason: str
    row: str
    changed: bool


def decide(run: Run | None, event: RunEvent, facts: Facts, now: datetime) -> Decision:
    """What follows from the facts, for any run, event and facts; at worst "unchanged, because ..."."""
    if run is None:
        return _found(event, facts, now)
    noted = _noted(run, facts, now)
    it = Conditions(noted, event, facts, now)
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
        run_id=dropped.run_id,
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
        return _told(None, Transition(rejected, f"the file has {len(problems)} problem(s)"), "drop-invalid", now)
    step = transitions.begin(run, next_attempt(run, Stage.BUILDER, now), "the file was dropped and is valid")
    return _told(None, step, "drop-valid", now)


def _noted(run: Run, facts: Facts, now: datetime) -> Run:
    """The run with what the facts say of its current attempt, and of the effects that were just performed."""
    if {WriteReply(run.news).id, Publish(run.news).id} <= facts.performed:
        run = replace(run, told=run.news)
    attempt = run.current
    if attempt is None or facts.job is None or (facts.stage, facts.attempt) != (attempt.stage, attempt.orders.attempt):
        return run
    return replace(run, attempts=(*run.attempts[:-1], _seen(attempt, facts.job, facts.causes, now)))


def _seen(attempt: Attempt, job: JobView, causes: dict[Cause, IndexSet], now: datetime) -> Attempt:
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


def _told(stored: Run | None, step: Transition, row: str, now: datetime) -> Decision:
    """The decision, with the news told to whoever has not heard it; until all is done the sweep looks after the run."""
    run, effects = step.run, step.effects
    if run.told != run.news:
        effects = (*effects, WriteReply(run.news), Publish(run.news))
    if effects:
        run = replace(run, unsettled=True)
    if run == stored:
        return Decision(run, effects, step.reason, row, changed=False)
    saved = replace(run, serial=run.serial + 1, updated=now, reason=_reason(stored, step, row))
    return Decision(saved, effects, step.reason, row, changed=True)


def _reason(stored: Run | None, step: Transition, row: str) -> str:
    """Why the run is where it is: a step that moved nothing and saw nothing new leaves the old words."""
    run = step.run
    moved = stored is None or run.phase is not stored.phase or len(run.attempts) != len(stored.attempts)
    return step.reason if moved or row == "at-work" or stored is None else stored.reason
