"""Events that wait for delivery, in the same file as the runs. Each is delivered at least once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batch_emulator.engine.faults import DeliveryFaults, FaultyDelivery
from epydrop_workstation.local.database import Database
from epydrop_workstation.local.envelopes import Envelope

_FIRST_BACKOFF = 0.1  # seconds
_LONGEST_BACKOFF = 10.0
_REORDERED = 100  # of so many due envelopes a reordering queue picks one at random


@dataclass(frozen=True)
class Delivery:
    """One delivery of an envelope; ``delivery_count`` is 1 for the first."""

    id: int
    envelope: Envelope
    delivery_count: int


def backoff(delivery_count: int) -> float:
    """Seconds before the next delivery: 0.1, doubled each time, at most 10."""
    # The exponent is bounded because a large power of two does not fit into a float.
    return float(min(_FIRST_BACKOFF * 2 ** min(delivery_count - 1, 30), _LONGEST_BACKOFF))


class SqliteEventQueue:
    """A queue that several threads and processes may fill and drain at once.

    A delivery is a lease: if its taker dies, the envelope is delivered again when the lease expires.
    """

    def __init__(
        self, database: Database, faults: DeliveryFaults | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._delivery = FaultyDelivery(faults or DeliveryFaults())
        self._clock = clock

    def put(self, envelope: Envelope, delay: float = 0.0) -> None:
        """Adds an envelope, to be delivered after ``delay`` seconds; joins the thread's transaction, if any."""
        text = json.dumps(envelope)
        rows = [(self._clock() + delay + extra, text) for extra in self._delivery.delays()]
        with self._database.transaction() as connection:
            connection.executemany("INSERT INTO events (due, envelope) VALUES (?, ?)", rows)

    def take(self, lease: float = 60.0) -> Delivery | None:
        """The next envelope that is due, or None. Unless ``done`` within ``lease`` seconds, it is delivered again."""
        # One transaction, so that of two takers at once only one gets the envelope.
        with self._database.transaction() as connection:
            now = self._clock()
            due = connection.execute(
                "SELECT id FROM events WHERE due <= ? ORDER BY due, id LIMIT ?",
                (now, _REORDERED if self._delivery.faults.reorder else 1),
            ).fetchall()
            if not due:
                return None
            row = connection.execute(
                "UPDATE events SET due = ?, deliveries = deliveries + 1 WHERE id = ? RETURNING *",
                (now + lease, self._delivery.random.choice(due)["id"]),
            ).fetchone()
        envelope: dict[str, Any] = json.loads(row["envelope"])
        return Delivery(row["id"], envelope, row["deliveries"])

    def done(self, delivery: Delivery) -> None:
        """Deletes the envelope, even if its lease has expired and another taker has it."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM events WHERE id = ?", (delivery.id,))

    def again(self, delivery: Delivery, delay: float | None = None) -> None:
        """Delivers the envelope again after ``delay`` seconds, or after ``backoff``.

        Does nothing if the lease has expired and another taker has the envelope.
        """
        wait = backoff(delivery.delivery_count) if delay is None else delay
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE events SET due = ? WHERE id = ? AND deliveries = ?",
                (self._clock() + wait, delivery.id, delivery.delivery_count),
            )

    def next_due(self) -> float | None:
        """When the next envelope can be taken, in seconds since 1970; None if the queue is empty.

        A leased envelope counts: it is due when its lease expires.
        """
        due: float | None = self._database.rows("SELECT min(due) AS due FROM events")[0]["due"]
        return due
