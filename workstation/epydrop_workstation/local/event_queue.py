"""Envelopes that wait for their delivery, each delivered at least once, in the same file as the runs."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from epydrop_workstation.local.database import Database
from epydrop_workstation.local.envelopes import Envelope

_FIRST_BACKOFF = 0.1
_LONGEST_BACKOFF = 10.0
_CHOICE = 100  # among so many due envelopes a reordering queue picks


@dataclass(frozen=True)
class Delivery:
    """One delivery of an envelope; ``delivery_count`` is 1 at the first."""

    id: int
    envelope: Envelope
    delivery_count: int


@dataclass(frozen=True)
class Mischief:
    """What a real queue may do at any time, done on purpose: the same for the same seed and the same calls.

    ``repeat`` and ``drop`` are probabilities; ``delay`` is the longest delay in seconds.
    """

    seed: int = 0
    repeat: float = 0.0
    delay: float = 0.0
    reorder: bool = False
    drop: float = 0.0


def backoff(delivery_count: int) -> float:
    """Seconds to wait before the next delivery: 0.1, doubled with each, at most 10."""
    return float(min(_FIRST_BACKOFF * 2 ** min(delivery_count - 1, 30), _LONGEST_BACKOFF))


class SqliteEventQueue:
    """A queue that several threads and processes may fill and drain at once."""

    def __init__(
        self, database: Database, mischief: Mischief | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._mischief = mischief or Mischief()
        self._random = random.Random(self._mischief.seed)  # noqa: S311 - mischief is no secret
        self._clock = clock

    def put(self, envelope: Envelope, delay: float = 0.0) -> None:
        """Adds an envelope, to be delivered after ``delay`` seconds; joins the thread's transaction, if any."""
        if self._happens(self._mischief.drop):
            return
        copies = 2 if self._happens(self._mischief.repeat) else 1
        text = json.dumps(envelope)
        rows = [(self._clock() + delay + self._random.random() * self._mischief.delay, text) for _ in range(copies)]
        with self._database.transaction() as connection:
            connection.executemany("INSERT INTO events (due, envelope) VALUES (?, ?)", rows)

    def take(self, lease: float = 60.0) -> Delivery | None:
        """The next envelope that is due, or None. Unless ``done`` within ``lease`` seconds, it is delivered again."""
        with self._database.transaction() as connection:
            now = self._clock()
            due = connection.execute(
                "SELECT id FROM events WHERE due <= ? ORDER BY due, id LIMIT ?",
                (now, _CHOICE if self._mischief.reorder else 1),
            ).fetchall()
            if not due:
                return None
            row = connection.execute(
                "UPDATE events SET due = ?, deliveries = deliveries + 1 WHERE id = ? RETURNING *",
                (now + lease, self._random.choice(due)["id"]),
            ).fetchone()
        envelope: dict[str, Any] = json.loads(row["envelope"])
        return Delivery(row["id"], envelope, row["deliveries"])

    def done(self, delivery: Delivery) -> None:
        """The envelope is dealt with and never delivered again, also when its lease ran out meanwhile."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM events WHERE id = ?", (delivery.id,))

    def again(self, delivery: Delivery, delay: float | None = None) -> None:
        """Delivers the envelope again after ``delay`` seconds, or after ``backoff``.

        Nothing happens when the lease ran out and somebody else has it.
        """
        wait = backoff(delivery.delivery_count) if delay is None else delay
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE events SET due = ? WHERE id = ? AND deliveries = ?",
                (self._clock() + wait, delivery.id, delivery.delivery_count),
            )

    def next_due(self) -> float | None:
        """When the next envelope can be taken, in seconds since 1970; None when the queue is empty.

        An envelope that is out on a lease counts: it is due when the lease runs out.
        """
        due: float | None = self._database.rows("SELECT min(due) AS due FROM events")[0]["due"]
        return due

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._random.random() < probability
