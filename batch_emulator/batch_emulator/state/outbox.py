"""Notifications that wait to be published, in the same file as the jobs: a transactional outbox.

Each is published at least once, even if the server is killed between publishing and recording that it has.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batch_emulator.engine.sqlite_file import SqliteFile
from batch_emulator.options import Notification

_FIRST_BACKOFF = 0.1  # seconds, doubled with each attempt
_LONGEST_BACKOFF = 10.0


@dataclass(frozen=True)
class Pending:
    """A notification that is due; ``attempt`` is 1 for the first try to publish it."""

    id: int
    notification: Notification
    attempt: int


class Outbox:
    """Any thread may put notifications; one thread takes them out. ``on_put`` is called after each ``put``."""

    def __init__(self, database: SqliteFile, on_put: Callable[[], None]) -> None:
        self._database = database
        self._on_put = on_put

    def put(self, notification: Notification, delays: Sequence[float]) -> None:
        """Adds one copy for each delay in seconds; joins the thread's transaction, if there is one."""
        document = {
            "topic": notification.topic,
            "attributes": dict(notification.attributes),
            "data": base64.b64encode(notification.data).decode(),
        }
        text = json.dumps(document)
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO events (due, envelope) VALUES (?, ?)", [(time.time() + delay, text) for delay in delays]
            )
        self._on_put()  # a reader that looks before the commit finds nothing, and looks again soon

    def next(self) -> Pending | None:
        """The notification that has been due for longest, or None. It stays until ``done``."""
        rows = self._database.rows(
            "SELECT id, deliveries, envelope FROM events WHERE due <= ? ORDER BY due, id LIMIT 1", (time.time(),)
        )
        if not rows:
            return None
        document = json.loads(rows[0]["envelope"])
        data = base64.b64decode(document["data"])
        notification = Notification(document["topic"], document["attributes"], data)
        return Pending(rows[0]["id"], notification, rows[0]["deliveries"] + 1)

    def done(self, pending: Pending) -> None:
        """Deletes a notification that was published or given up."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM events WHERE id = ?", (pending.id,))

    def retry_later(self, pending: Pending) -> None:
        """Makes a notification due again, after a pause that doubles with each attempt."""
        pause = min(_FIRST_BACKOFF * 2 ** (pending.attempt - 1), _LONGEST_BACKOFF)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE events SET due = ?, deliveries = ? WHERE id = ?",
                (time.time() + pause, pending.attempt, pending.id),
            )

    def next_due(self) -> float | None:
        """When the next notification is due, in seconds since 1970; None if there is none."""
        due: float | None = self._database.rows("SELECT min(due) AS due FROM events")[0]["due"]
        return due
