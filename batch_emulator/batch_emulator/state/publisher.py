"""The thread that publishes the notifications in the outbox, and the places it can publish to."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from batch_emulator.options import Notification, Publish
from batch_emulator.state.outbox import Outbox, Pending

PUBSUB_EMULATOR = "PUBSUB_EMULATOR_HOST"

_MAX_ATTEMPTS = 6  # with the outbox's growing pauses, about three seconds
_LOOK_EVERY = 0.5  # seconds; a new notification wakes the thread before
_PUBLISH_WITHIN = 30.0

log = logging.getLogger(__name__)


class Publisher:
    """Publishes until it is closed. ``wake`` is to be called when something was put into the outbox."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._stop: Callable[[], None] = lambda: None

    def start(self, outbox: Outbox) -> None:
        """Starts the thread; what an earlier server left in the outbox goes first."""
        thread = threading.Thread(target=self._run, args=(outbox,), name="batch-emulator-publisher", daemon=True)
        thread.start()
        self._stop = thread.join

    def wake(self) -> None:
        """Makes the thread look into the outbox."""
        self._wake.set()

    def close(self) -> None:
        """Stops after the current notification; the others wait for the next server."""
        self._closing.set()
        self.wake()
        self._stop()

    def _run(self, outbox: Outbox) -> None:
        while not self._closing.is_set():
            self._wake.clear()
            while not self._closing.is_set() and (pending := outbox.next()) is not None:
                self._publish_one(outbox, pending)
            due = outbox.next_due()
            self._wake.wait(_LOOK_EVERY if due is None else min(_LOOK_EVERY, max(0.0, due - time.time())))

    def _publish_one(self, outbox: Outbox, pending: Pending) -> None:
        try:
            self._publish(pending.notification)
        except Exception as error:  # noqa: BLE001 - a publisher may raise anything, and must not end the thread
            if pending.attempt < _MAX_ATTEMPTS:
                outbox.retry_later(pending)
                return
            log.warning("gave up a notification to %s: %s", pending.notification.topic, error)
        outbox.done(pending)


def default_publish(folder: Path) -> Publish:
    """To the Pub/Sub emulator if PUBSUB_EMULATOR_HOST names one, else to a file; never to the real Pub/Sub."""
    return _PubSub() if os.environ.get(PUBSUB_EMULATOR) else _File(folder / "notifications.jsonl")


class _PubSub:
    """Publishes by Google's client, which finds the emulator by the variable."""

    def __init__(self) -> None:
        self._client: Any = None

    def __call__(self, notification: Notification) -> None:
        # Lazy: the import takes half a second, and most servers never publish to Pub/Sub.
        from google.cloud.pubsub_v1 import PublisherClient  # noqa: PLC0415

        self._client = self._client or PublisherClient()
        sent = self._client.publish(notification.topic, notification.data, **notification.attributes)
        sent.result(_PUBLISH_WITHIN)


class _File:
    """Appends one JSON object per line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, notification: Notification) -> None:
        line = {
            "topic": notification.topic,
            "attributes": notification.attributes,
            "data": notification.data.decode(),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
