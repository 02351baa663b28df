"""The decision function: a run, an event and the observed facts give the next run and its effects.

Pure and total: every event in every phase has a decision, and nothing else moves a run. The table chooses the
transition; after it, one rule holds for all rows: people are notified of news that they have not been notified of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from epydrop.core import transitions
from epydrop.core.attempts import next_attempt
from epydrop.core.causes import Cause
from epydrop.core.conditions import Conditions
from epydrop.core.effects import Effect, Publish, WriteReply
from epydrop.core.events import FileDropped, Kick, OutputRequested, RunEvent
from epydrop.core.jobs import JobView
from epydrop.core.observed_facts import Facts
from epydrop.core.phases import Phase
from epydrop.core.run import Attempt, Run
from epydrop.core.table import TABLE
from epydrop.core.transitions import Transition
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage


@dataclass(frozen=True)
class Decision:
    """The transition that was chosen, and the name of its row.

    ``changed``: there is something to save. ``is_unchanged``: what the event asked for was not done. ``is_repeat``: an
    earlier delivery of the same kick did it.
    """

    run: Run
    effects: tuple[Effect, ...]
    reason: str
    row: str
    changed: bool
    is_unchanged: bool = False
    is_repeat: bool = False


def decide(run: Run | None, event: RunEvent, facts: Facts, now: datetime) -> Decision:
    """The decision for any run, event and facts. Where nothing follows, the reason says why."""
    if run is None:
        return _founded(event, facts, now)
    noted = _noted(run, facts, now)
    it = Conditions(noted, event, facts, now)
    row = next(row for row in TABLE if noted.phase in row.phases and row.when(it))
    step = row.then(it)
    if isinstance(event, Kick) and row.records_kick:
        step = replace(step, run=_having_heard(step, event))
    decision = _notifying(run, step, row.name, now)
    return replace(decision, is_repeat=True) if row.is_repeat else decision


def _having_heard(step: Transition, kick: Kick) -> Run:
    """The run that remembers the kick, and obeys none that was sent before it."""
    run = step.run.having_taken(kick.kick_id)
    # A cancel or a retry says what shall become of the run, even when there is nothing to do.
    counts = not step.is_unchanged or not isinstance(kick, OutputRequested)
    return replace(run, kick_sent=kick.published) if counts else run


def _founded(event: RunEvent, facts: Facts, now: datetime) -> Decision:
    """The first decision for a dropped file. An invalid file gets a run too: it is rejected, and says why."""
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
        experiment_sha256=offer.experiment_sha256,
        phase=Phase.BUILDER,
        reason="",
        created=now,
        updated=now,
    )
    if offer.problems:
        problems = tuple(str(problem) for problem in offer.problems)
        rejected = replace(run, phase=Phase.REJECTED, problems=problems, cause=Cause.BAD_INPUT)
        return _notifying(None, Transition(rejected, f"the file has {len(problems)} problem(s)"), "drop-invalid", now)
    step = transitions.begin(run, next_attempt(run, Stage.BUILDER, now), "the file was dropped and is valid")
    return _notifying(None, step, "drop-valid", now)


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
        idle_since=_idle_since(attempt, job, now),
        ended=attempt.ended or (now if job.state.is_ended else None),
        causes=causes or attempt.causes,
    )


def _idle_since(attempt: Attempt, job: JobView, now: datetime) -> datetime | None:
    if not job.is_idle:
        return None
    is_first = attempt.idle_since is None or job.counts.finished > attempt.counts.finished
    return now if is_first else attempt.idle_since


def _notifying(stored: Run | None, step: Transition, row: str, now: datetime) -> Decision:
    """The decision, with the effects that notify people of news. The sweep watches the run until they are done."""
    run, effects = step.run, step.effects
    if run.told != run.news:
        effects = (*effects, WriteReply(run.news), Publish(run.news))
    if effects:
        run = replace(run, unsettled=True)
    if run == stored:
        return Decision(run, effects, step.reason, row, changed=False, is_unchanged=step.is_unchanged)
    saved = replace(run, serial=run.serial + 1, updated=now, reason=_reason(stored, step))
    return Decision(saved, effects, step.reason, row, changed=True, is_unchanged=step.is_unchanged)


def _reason(stored: Run | None, step: Transition) -> str:
    """Why the run is where it is. A transition that neither moves the run nor reports progress keeps the old reason."""
    if stored is None or step.is_progress:
        return step.reason
    moved = step.run.phase is not stored.phase or len(step.run.attempts) != len(stored.attempts)
    return step.reason if moved else stored.reason
