"""The reconciler: load, observe, decide, save if the run is unchanged, perform; repeat until nothing is left to do.

A raised error means "deliver this event again". Everything else was recorded on the run or logged.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from epydrop.core.conditions import GONE_AFTER
from epydrop.core.decide import Decision, decide
from epydrop.core.effects import SubmitJob
from epydrop.core.events import (
    CheckRequested,
    Command,
    Event,
    FileDropped,
    Ignored,
    JobChanged,
    KickDropped,
    Refused,
    RunEvent,
    StartRequested,
    SweepRequested,
    subject_of,
)
from epydrop.core.observed_facts import Facts
from epydrop.core.run import Run
from epydrop.errors import BadInput, ConfigurationError, PreconditionFailed, RetryableError
from epydrop.formats import names
from epydrop.formats.serialization import UnknownFormat
from epydrop.logs import log_context, measured
from epydrop.service.history import history_entry
from epydrop.service.kick_files import answer_kick, file_to_start, read_kick
from epydrop.service.observe import observe
from epydrop.service.perform import perform
from epydrop.service.ports import Stored
from epydrop.service.replies import KickOutcome
from epydrop.service.sweep import sweep
from epydrop.service.world import World

if TYPE_CHECKING:
    from epydrop.service.admission import Reading

SAVE_TRIES = 5
MAX_STEPS = 20  # per call; the sweep continues after that
REREAD_FOR = timedelta(seconds=60)
REREAD_EVERY = 2.0  # seconds

log = logging.getLogger(__name__)


def reconcile(event: Event, world: World) -> None:
    """Bring the event's run to the state that the observed facts call for."""
    with log_context(**subject_of(event)):
        try:
            _reconcile(event, world)
        except Exception as error:
            level = logging.WARNING if isinstance(error, RetryableError) else logging.ERROR
            log.log(level, "will be delivered again: %s", error, exc_info=level == logging.ERROR)
            raise


def _reconcile(event: Event, world: World) -> None:
    match event:
        case Refused(reason, kick_id):
            log.warning("refused: %s", reason)
            if kick_id:
                answer_kick(names.message_answer(kick_id), KickOutcome(reason, refused=True), world.trigger)
        case Ignored(reason):
            log.info("ignored: %s", reason)
        case SweepRequested():
            sweep(event, world)
        case CheckRequested(run_id):
            _check(run_id, event, world)
        case KickDropped(dropped):
            command = read_kick(event, world.trigger)
            if command is None:
                log.info("ignored: generation %d of %s is gone", dropped.generation, dropped.name)
            else:
                answer_kick(names.file_answer(dropped.name, dropped.generation), _obey(command, world), world.trigger)
        case FileDropped() | JobChanged():
            _advance(event.run_id, event, world)
        case _:
            answer_kick(names.message_answer(event.kick_id), _obey(event, world), world.trigger)


def _check(run_id: str, event: CheckRequested, world: World) -> None:
    """Advance one run. A run that this version cannot read is logged and skipped, so that it is not redelivered."""
    try:
        _advance(run_id, event, world)
    except UnknownFormat as error:
        log.error("left alone: %s", error)  # noqa: TRY400 - a traceback every five minutes would add nothing


def _obey(command: Command | Refused, world: World) -> KickOutcome:
    """Carry out a person's command, and log the outcome."""
    event = file_to_start(command, world) if isinstance(command, StartRequested) else command
    if isinstance(event, Refused):
        log.warning("refused: %s", event.reason)
        return KickOutcome(event.reason, refused=True)
    run_id = event.run_id
    with log_context(run_id=run_id):
        decision = _advance(run_id, event, world)
        if decision is None:
            log.warning("refused: there is no run %s", run_id)
            return KickOutcome(f"there is no run {run_id}", refused=True)
        if decision.is_repeat:  # an earlier delivery took it up, and ended before it could answer
            return KickOutcome(f"it was taken up; the run is {decision.run.phase}: {decision.run.reason}", run_id)
        return KickOutcome(decision.reason, run_id, unchanged=decision.is_unchanged)


def _advance(run_id: str, event: RunEvent, world: World) -> Decision | None:
    """Decide, save and perform until there are no new effects. Returns the first decision, or None without a run."""
    done = Facts()
    first = decision = _decide_and_save(run_id, event, done, world)
    if first is not None and isinstance(event, CheckRequested):
        _log_check(first, world)
    for _ in range(MAX_STEPS):
        if decision is None or {effect.id for effect in decision.effects} <= done.performed:
            return first
        done, error = _perform_all(decision, done, world)
        decision = _decide_and_save(run_id, CheckRequested(run_id), done, world)
        if error is not None:
            raise error
    log.warning("the run needed more than %d steps at once; the sweep goes on with it", MAX_STEPS)
    return first


def _decide_and_save(run_id: str, event: RunEvent, done: Facts, world: World) -> Decision | None:
    """The compare-and-set loop. Raises RetryableError if the run keeps changing concurrently."""
    for _ in range(SAVE_TRIES):
        stored = world.runs.load(run_id)
        reading = None
        if stored is None:
            reading = _read(event, world) if isinstance(event, FileDropped) else None
            if reading is None:
                log.info("ignored: there is no run %s, and the event does not start one", run_id)
                return None
            facts = Facts(offer=reading.offer)
        else:
            facts = _observe_patiently(stored.run, event, world)
            facts = replace(facts, performed=done.performed, refusal=done.refusal or facts.refusal)
        before = stored.run if stored else None
        decision = decide(before, event, facts, world.now())
        if decision.changed:
            try:
                _save(stored, decision, event, facts, reading, world)
            except PreconditionFailed:
                continue
        _log_decision(decision, before)
        return decision
    raise RetryableError(f"run {run_id} was changed by others {SAVE_TRIES} times in a row")


def _read(event: FileDropped, world: World) -> Reading | None:
    """The admission of the dropped file."""
    from epydrop.service.admission import read_offer  # noqa: PLC0415 - lazy: most events need no experiment parser

    return read_offer(event, world.trigger, world.settings)


def _log_decision(decision: Decision, before: Run | None) -> None:
    """Log the decision; a log-based metric counts the phases that runs enter."""
    run, attempt = decision.run, decision.run.current
    about = {"stage": str(attempt.stage), "attempt": str(attempt.orders.attempt)} if attempt else {}
    entered = before is None or before.phase is not run.phase
    with log_context(exp_id=run.exp_id, **about):
        values = measured(phase=str(run.phase)) if entered else None
        log.info("%s: %s", decision.row, decision.reason, extra=values)


def _log_check(decision: Decision, world: World) -> None:
    """Log a check, with how long the run has been open and whether the check repaired something; both are metrics."""
    run = decision.run
    hours = (world.now() - run.created).total_seconds() / 3600
    values = {"open_hours": round(hours, 2)} if run.phase.is_open else {}
    with log_context(exp_id=run.exp_id):
        log.info("checked", extra=measured(**values, repaired=bool(decision.effects)))


def _observe_patiently(run: Run, event: RunEvent, world: World) -> Facts:
    """The facts, observed again for up to a minute if the event reports an end that the job does not show yet."""
    store = world.open_store(run.run_url)
    give_up = world.now() + REREAD_FOR
    while True:
        try:
            facts = observe(run, event, world.jobs, store)
        except ConfigurationError as error:
            if not _is_hopeless(run, world):
                raise
            return _facts_of_refused(run, str(error))
        if not _lags_behind(facts, event, run):
            return facts
        if world.now() >= give_up:
            raise RetryableError(f"the notification says that the job of run {run.run_id} ended, the job does not")
        world.sleep(REREAD_EVERY)


def _facts_of_refused(run: Run, why: str) -> Facts:
    attempt = run.current
    return Facts(attempt.stage, attempt.orders.attempt, refusal=why) if attempt else Facts(refusal=why)


def _lags_behind(facts: Facts, event: RunEvent, run: Run) -> bool:
    if not isinstance(event, JobChanged) or event.state is None or not event.state.is_ended:
        return False
    is_current = run.current is not None and run.current.job_id == str(event.job)
    return is_current and facts.job is not None and not facts.job.state.is_ended


# -- saving --------------------------------------------------------------------------------------


def _save(
    stored: Stored | None, decision: Decision, event: RunEvent, facts: Facts, reading: Reading | None, world: World
) -> None:
    """Save the decision; a new run only after the dropped file is kept. Raises PreconditionFailed."""
    if reading is not None:
        reading.keep(world.trigger, world.open_store(decision.run.run_url))
    entry = history_entry(stored.run if stored else None, decision, event, facts)
    if stored is None:
        world.runs.create(decision.run, entry)
    else:
        world.runs.save(decision.run, stored.revision, entry)


# -- performing ----------------------------------------------------------------------------------


def _perform_all(decision: Decision, done: Facts, world: World) -> tuple[Facts, Exception | None]:
    """Perform every effect, even if one fails: a job that cannot be submitted must not delay the reply.

    Returns what was done so far, and why something will never be; and the first failure, for the event to come again.
    """
    performed = set(done.performed)
    refusal = ""
    failure: Exception | None = None
    for effect in decision.effects:
        try:
            perform(effect, decision.run, world)
        except BadInput as error:  # permanent: the next decision records it on the run
            refusal = str(error)
        except ConfigurationError as error:
            if isinstance(effect, SubmitJob) and _is_hopeless(decision.run, world):
                refusal = str(error)
            else:
                failure = failure or error
        except Exception as error:  # noqa: BLE001 - raised after the other effects
            failure = failure or error
        else:
            performed.add(effect.id)
    return Facts(performed=frozenset(performed), refusal=refusal), failure


def _is_hopeless(run: Run, world: World) -> bool:
    """Whether a permission error is final: new roles take minutes to take effect, so the first ones are retried."""
    attempt = run.current
    return attempt is not None and not attempt.uid and world.now() - attempt.begun > GONE_AFTER
