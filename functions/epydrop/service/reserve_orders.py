"""Reserve an attempt number by writing its orders, before the attempt is saved; they never change afterwards.

A call that dies, or loses a race, before it saves the attempt leaves orders without an attempt. They bind every later
call for the same kick; another kick takes the next number.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from epydrop.core.attempts import renumbered
from epydrop.core.decide import Decision
from epydrop.core.effects import SubmitJob
from epydrop.core.run import Attempt
from epydrop.errors import PreconditionFailed
from epydrop.formats import names
from epydrop.formats.orders import Orders
from epydrop.formats.serialization import UnknownFormat, from_json, to_json
from epydrop.stores.port import ObjectStore

log = logging.getLogger(__name__)


def with_orders(decision: Decision, attempt: Attempt, store: ObjectStore) -> Decision:
    """The decision with the orders on file for its new attempt: its own, written now, or those of the same kick."""
    settled = attempt
    while True:
        name = names.orders_name(settled.stage, settled.orders.attempt)
        try:
            store.write(name, to_json(settled.orders), if_generation=0)
            break
        except PreconditionFailed:
            found = _orders_found(name, store)
        if found is not None and _binds(found, settled.orders):
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


def _binds(found: Orders, wanted: Orders) -> bool:
    """Whether orders on file replace those that were decided now: they were written for the same kick."""
    return found.kick_id == wanted.kick_id


def _orders_found(name: str, store: ObjectStore) -> Orders | None:
    """The orders on file, or None if this version cannot read them."""
    try:
        return from_json(Orders, store.read(name), name)
    except UnknownFormat as error:
        log.warning("the next number is taken: %s", error)
        return None
