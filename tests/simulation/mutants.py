"""Two faults that the product once had, put back in: a simulation that does not find them is worth nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from epydrop.core.conditions import Conditions
from epydrop.core.decide import Decision, decide
from epydrop.core.effects import SubmitJob
from epydrop.core.events import Kick, RunEvent
from epydrop.core.observed_facts import Facts
from epydrop.core.run import Run
from epydrop.errors import PreconditionFailed
from epydrop.formats import names
from epydrop.formats.orders import Orders
from epydrop.formats.serialization import from_json, to_json
from epydrop.service import reconcile
from epydrop.stores.port import ObjectStore

observe_patiently = reconcile._observe_patiently


@contextmanager
def orders_before_the_save() -> Iterator[None]:
    """Orders are written before the attempt is saved, and those on file bind whoever acts for the same kick."""
    stores: list[ObjectStore] = []

    def observing(run: Run, event: RunEvent, world: Any) -> Facts:
        stores[:] = [world.open_store(run.run_url)]
        return observe_patiently(run, event, world)

    def deciding(run: Run | None, event: RunEvent, facts: Facts, now: datetime) -> Decision:
        decision = decide(run, event, facts, now)
        is_new = run is not None and len(decision.run.attempts) > len(run.attempts)
        return _bound(decision, stores[0]) if is_new else decision

    with _replaced(reconcile, "_observe_patiently", observing), _replaced(reconcile, "decide", deciding):
        yield


@contextmanager
def kicks_as_they_come() -> Iterator[None]:
    """A kick is stale if it was sent before the last one was taken up."""

    def is_stale_kick(it: Conditions) -> bool:
        since_kick = it.run.attempts[it.run.kicked_after :]
        is_kicked = it.run.kick_sent is not None and isinstance(it.event, Kick) and bool(since_kick)
        return is_kicked and it.event.published < since_kick[0].begun

    with _replaced(Conditions, "is_stale_kick", property(is_stale_kick)):
        yield


MUTANTS: tuple[Callable[[], Any], ...] = (orders_before_the_save, kicks_as_they_come)


def _bound(decision: Decision, store: ObjectStore) -> Decision:
    """The decision with the orders on file for its new attempt: its own, written now, or those of the same kick."""
    *before, attempt = decision.run.attempts
    orders = attempt.orders
    while True:
        name = names.orders_name(orders.stage, orders.attempt)
        try:
            store.write(name, to_json(orders), if_generation=0)
            break
        except PreconditionFailed:
            found = from_json(Orders, store.read(name), name)
        if found.kick_id == orders.kick_id:
            orders = found
            break
        number = orders.attempt + 1
        orders = replace(orders, attempt=number, labels={**orders.labels, "attempt": str(number)})
    bound = replace(attempt, orders=orders)
    run = replace(decision.run, attempts=(*before, bound), outputs=orders.outputs or decision.run.outputs)
    submit, instead = SubmitJob(attempt.job_id), SubmitJob(bound.job_id)
    effects = tuple(instead if effect == submit else effect for effect in decision.effects)
    return replace(decision, run=run, effects=effects)


@contextmanager
def _replaced(place: object, name: str, value: object) -> Iterator[None]:
    original = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, original)
