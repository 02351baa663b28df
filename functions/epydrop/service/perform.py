"""Perform effects. All of them are idempotent: they may run twice, concurrently, or be interrupted and run again."""

from __future__ import annotations

import hashlib
import logging

from epydrop.core.effects import CancelJob, Effect, Publish, SubmitJob, WriteReply
from epydrop.core.jobs import job_spec
from epydrop.core.run import Run
from epydrop.errors import BadInput, NotFound, PreconditionFailed, RetryableError
from epydrop.formats import names
from epydrop.formats.orders import Orders
from epydrop.formats.serialization import UnknownFormat, from_json, to_json
from epydrop.service.replies import reply_json, reply_markdown, serial_of
from epydrop.service.world import World
from epydrop.stores.port import ObjectStore

log = logging.getLogger(__name__)


def perform(effect: Effect, run: Run, world: World) -> None:
    """Perform one effect."""
    log.info("performing %s", effect.id)
    match effect:
        case SubmitJob(job_id):
            attempt = next(attempt for attempt in reversed(run.attempts) if attempt.job_id == job_id)
            text = _write_orders(attempt.orders, world.open_store(run.run_url))
            sha256 = hashlib.sha256(text).hexdigest()
            spec = job_spec(
                attempt.orders,
                run.run_url,
                sha256,
                experiment_sha256=run.experiment_sha256,
                dropped_md5=run.dropped.md5,
                max_silence=run.plan.max_silence,
            )
            world.jobs.submit(spec)
        case CancelJob(job_id):
            world.jobs.cancel(job_id)
        case WriteReply():
            _write_replies(run, world)
        case Publish(news):
            world.publisher.publish("runs", _notification(run, news))


def _write_orders(orders: Orders, store: ObjectStore) -> bytes:
    """Write the orders that the tasks of the job will read, once; returns what the file holds.

    They are those of the saved attempt, so every call that submits its job writes the same. Raises BadInput if the file
    holds others: the run's document was lost, and an earlier job of that number may have obeyed them.
    """
    name = names.orders_name(orders.stage, orders.attempt)
    text = to_json(orders)
    try:
        store.write(name, text, if_generation=0)
    except PreconditionFailed:
        text = store.read(name)
        if not _are(orders, text, name):
            raise BadInput(f"{name} holds other orders, of an earlier document of this run; retry the run") from None
    return text


def _are(orders: Orders, text: bytes, name: str) -> bool:
    """Whether the file says the same, in this or an earlier version's words."""
    try:
        return from_json(Orders, text, name) == orders
    except UnknownFormat:
        return False


def _write_replies(run: Run, world: World) -> None:
    """Write both forms of the reply."""
    signposts = world.signposts(run)
    for suffix, reply in (("json", reply_json(run, signposts)), ("md", reply_markdown(run, signposts))):
        _write_reply(names.reply_name(run.dropped.name, run.run_id, suffix), reply, run.serial, world.trigger)


def _write_reply(name: str, reply: bytes, serial: int, trigger: ObjectStore) -> None:
    """Write the reply unless a newer one exists. Raises RetryableError if it is being written concurrently."""
    info = trigger.stat(name)
    try:
        if info is not None and serial_of(trigger.read(name, generation=info.generation)) > serial:
            return
        trigger.write(name, reply, if_generation=info.generation if info else 0)
    except (NotFound, PreconditionFailed) as error:
        raise RetryableError(f"{name} changed while it was written") from error


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
        "quality": run.quality,
    }
