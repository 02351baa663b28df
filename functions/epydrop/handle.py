"""The imperative shell: load, observe, decide, save if nothing changed meanwhile, perform; again until all is done.

A raised error means "deliver this event again". Everything else was recorded on the run or logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from epydrop import names
from epydrop.attempts import renumbered
from epydrop.decide import Decision, decide
from epydrop.documents import from_json, to_document, to_json
from epydrop.effects import CancelJob, Effect, Publish, SubmitJob, WriteReply
from epydrop.errors import BadInput, NotThere, Outdated, TryAgain
from epydrop.events import CheckRequested, Event, FileDropped, Ignored, JobChanged, RunEvent, SweepRequested
from epydrop.facts import Facts
from epydrop.indices import Indices
from epydrop.jobs import job_spec
from epydrop.logs import log_context
from epydrop.observe import observe
from epydrop.offers import Reading, read_offer
from epydrop.orders import Orders
from epydrop.ports import JobService, ObjectStore, Publisher, RunStore, Stored
from epydrop.replies import reply_json, reply_markdown, serial_of
from epydrop.run import Attempt, HistoryEntry, Run
from epydrop.settings import Settings

SAVE_TRIES = 5
MAX_STEPS = 20  # of one call; what is left then is the sweep's
REREAD_FOR = timedelta(seconds=60)
REREAD_EVERY = 2.0  # seconds
HISTORY_SPANS = 20  # index spans kept of a fact in the history

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class World:
    """All that ``handle`` acts on; ``wiring`` makes one for each kind of world."""

    settings: Settings
    runs: RunStore
    trigger: ObjectStore
    jobs: JobService
    publisher: Publisher
    open_store: Callable[[str], ObjectStore]
    now: Callable[[], datetime]
    sleep: Callable[[float], None]


def handle(event: Event, world: World) -> None:
    """Brings the run that the event speaks of to where the facts say it should be."""
    match event:
        case Ignored(reason):
            log.info("ignored: %s", reason)
        case SweepRequested():
            for run_id in world.runs.unfinished():
                world.publisher.publish("kicks", {"check": run_id})
        case FileDropped(dropped):
            run_id = names.run_id_of(dropped.bucket, dropped.name, dropped.generation, dropped.created)
            with log_context(run_id=run_id):
                _advance(run_id, event, world)
        case _:
            with log_context(run_id=event.run_id):
                _advance(event.run_id, event, world)


def _advance(run_id: str, event: RunEvent, world: World) -> None:
    """One step after another, until a step has nothing more to do."""
    done = Facts()
    for _ in range(MAX_STEPS):
        decision = _decide_and_save(run_id, event, done, world)
        if decision is None or not decision.effects:
            return
        done = Facts(performed=done.performed)
        for effect in decision.effects:
            try:
                _perform(effect, decision.run, world)
            except BadInput as error:  # refused for good: recorded on the run by the next step
                done = replace(done, refusal=str(error))
            else:
                done = replace(done, performed=done.performed | {effect.id})
        event = CheckRequested(run_id)
    log.warning("the run needed more than %d steps at once; the sweep goes on with it", MAX_STEPS)


def _decide_and_save(run_id: str, event: RunEvent, done: Facts, world: World) -> Decision | None:
    """The compare-and-set loop. Raises TryAgain when others kept changing the run."""
    for _ in range(SAVE_TRIES):
        stored = world.runs.load(run_id)
        reading = None
        if stored is None:
            reading = read_offer(event, world.trigger, world.settings) if isinstance(event, FileDropped) else None
            if reading is None:
                log.info("ignored: there is no run %s, and nothing to found one on", run_id)
                return None
            facts = Facts(offer=reading.offer)
        else:
            facts = _observe_patiently(stored.run, event, world)
            facts = replace(facts, performed=done.performed, refusal=done.refusal)
        decision = decide(stored.run if stored else None, event, facts, world.now())
        log.info("%s: %s", decision.row, decision.reason)
        if not decision.changed:
            return decision
        try:
            return _save(stored, decision, event, facts, reading, world)
        except Outdated:
            continue
    raise TryAgain(f"run {run_id} was changed by others {SAVE_TRIES} times in a row")


def _observe_patiently(run: Run, event: RunEvent, world: World) -> Facts:
    """The facts; read again for a while when the event knows of an end that the job does not show yet."""
    store = world.open_store(run.run_url)
    give_up = world.now() + REREAD_FOR
    while True:
        facts = observe(run, event, world.jobs, store)
        if not _lags_behind(facts, event, run):
            return facts
        if world.now() >= give_up:
            raise TryAgain(f"the notification says that the job of run {run.run_id} ended, the job does not")
        world.sleep(REREAD_EVERY)


def _lags_behind(facts: Facts, event: RunEvent, run: Run) -> bool:
    if not isinstance(event, JobChanged) or event.state is None or not event.state.is_ended:
        return False
    is_current = run.current is not None and run.current.job_id == str(event.job)
    return is_current and facts.job is not None and not facts.job.state.is_ended


# -- saving --------------------------------------------------------------------------------------


def _save(
    stored: Stored | None, decision: Decision, event: RunEvent, facts: Facts, reading: Reading | None, world: World
) -> Decision:
    """Saves what was decided, after the files that the run will rely on. Raises Outdated."""
    store = world.open_store(decision.run.run_url)
    if reading is not None:
        reading.keep(world.trigger, store)
    known = len(stored.run.attempts) if stored else 0
    for attempt in decision.run.attempts[known:]:
        decision = _with_orders(decision, attempt, store)
    entry = _history_entry(decision, event, facts)
    if stored is None:
        world.runs.create(decision.run, entry)
    else:
        world.runs.save(decision.run, stored.revision, entry)
    return decision


def _with_orders(decision: Decision, attempt: Attempt, store: ObjectStore) -> Decision:
    """Writes the orders of a new attempt, or obeys those that are there.

    Orders lie there without an attempt when a call died, or lost a race, between this line and the save.
    They bind whoever acts for the same kick; another kick takes the next number.
    """
    settled = attempt
    while True:
        name = names.orders_name(settled.stage, settled.orders.attempt)
        try:
            store.write(name, to_json(settled.orders), if_generation=0)
            break
        except Outdated:
            found = from_json(Orders, store.read(name), name)
        if found.kick_id == settled.orders.kick_id:
            settled = replace(settled, orders=found)
            break
        settled = renumbered(settled)
    if settled == attempt:
        return decision
    run = replace(
        decision.run,
        attempts=(*decision.run.attempts[:-1], settled),
        outputs=settled.orders.outputs or decision.run.outputs,
    )
    effects = tuple(
        SubmitJob(settled.job_id) if effect == SubmitJob(attempt.job_id) else effect for effect in decision.effects
    )
    return replace(decision, run=run, effects=effects)


def _history_entry(decision: Decision, event: RunEvent, facts: Facts) -> HistoryEntry:
    return HistoryEntry(
        serial=decision.run.serial,
        at=decision.run.updated,
        event={"kind": type(event).__name__, **to_document(event)},
        facts=_bounded(facts),
        row=decision.row,
        phase=decision.run.phase,
        reason=decision.reason,
        effects=tuple(effect.id for effect in decision.effects),
    )


def _bounded(facts: Facts) -> dict[str, object]:
    """The facts, small enough for a document however many tasks there are: without the offer, long sets cut short."""
    slim = replace(
        facts,
        offer=None,
        missing=_cut(facts.missing),
        refused=_cut(facts.refused),
        causes={cause: _cut(indices) or Indices() for cause, indices in facts.causes.items()},
        manifest=facts.manifest and replace(facts.manifest, locations={}),
    )
    document = to_document(slim)
    document["missing_count"] = None if facts.missing is None else len(facts.missing)
    return {key: value for key, value in document.items() if value not in (None, [], {}, "")}


def _cut(indices: Indices | None) -> Indices | None:
    return None if indices is None else Indices(indices.spans[:HISTORY_SPANS])


# -- performing ----------------------------------------------------------------------------------


def _perform(effect: Effect, run: Run, world: World) -> None:
    """Does one thing; doing it twice is the same as doing it once."""
    log.info("performing %s", effect.id)
    match effect:
        case SubmitJob(job_id):
            attempt = next(attempt for attempt in reversed(run.attempts) if attempt.job_id == job_id)
            world.jobs.submit(job_spec(attempt.orders, run.run_url))
        case CancelJob(job_id):
            world.jobs.cancel(job_id)
        case WriteReply():
            _write_reply(run, world.trigger)
        case Publish(news):
            world.publisher.publish("runs", _notification(run, news))


def _write_reply(run: Run, trigger: ObjectStore) -> None:
    """Both forms of the reply; one that speaks of a newer state of the run is left alone."""
    name = names.reply_name(run.dropped.name, run.run_id, "json")
    info = trigger.stat(name)
    if info is not None:
        try:
            if serial_of(trigger.read(name, generation=info.generation)) > run.serial:
                return
        except NotThere as error:
            raise TryAgain(f"{name} changed while it was read") from error
    try:
        trigger.write(name, reply_json(run), if_generation=info.generation if info else 0)
    except Outdated as error:
        raise TryAgain(f"{name} changed while it was written") from error
    trigger.write(names.reply_name(run.dropped.name, run.run_id, "md"), reply_markdown(run))


def _notification(run: Run, news: str) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "exp_id": run.exp_id,
        "phase": str(run.phase),
        "news": news,
        "reason": run.reason,
        "run_url": run.run_url,
        "outputs": run.outputs,
        "missing": len(run.missing),
    }
