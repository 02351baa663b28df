"""The thread that takes notifications out of the queue and publishes them, and where to."""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

from batch_emulator.options import Notification, Publish
from epydrop_workstation.local.event_queue import Delivery, SqliteEventQueue

PUBSUB_EMULATOR = "PUBSUB_EMULATOR_HOST"

_MAX_TRIES = 6  # with the queue's growing pauses, some seconds
_LOOK_EVERY = 0.5  # seconds; what is put into the queue rings the bell before
_PUBLISH_WITHIN = 30.0

log = logging.getLogger(__name__)


class Post:
    """Delivers until it is closed. ``ring`` says that there may be something new."""

    def __init__(self, queue: SqliteEventQueue, publish: Publish) -> None:
        self._queue = queue
        self._publish = publish
        self._bell = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._deliver_all, name="batch-api-post", daemon=True)

    def start(self) -> None:
        """Begins to deliver, what an earlier server left in the queue first."""
        self._thread.start()

    def ring(self) -> None:
        """Wakes the thread."""
        self._bell.set()

    def close(self) -> None:
        """Ends after the delivery at hand; the rest waits for the next server."""
        self._closing.set()
        self.ring()
        self._thread.join()

    def _deliver_all(self) -> None:
        while not self._closing.is_set():
            self._bell.clear()
            while not self._closing.is_set() and (delivery := self._queue.take()) is not None:
                self._deliver(delivery)
            due = self._queue.next_due()
            wait = _LOOK_EVERY if due is None else min(_LOOK_EVERY, max(0.0, due - time.time()))
            self._bell.wait(wait)

    def _deliver(self, delivery: Delivery) -> None:
        envelope = delivery.envelope
        data = base64.b64decode(envelope["data"])
        try:
            self._publish(Notification(envelope["topic"], envelope["attributes"], data))
        except Exception as error:  # noqa: BLE001 - whatever the publisher met, the next may be fine
            if delivery.delivery_count < _MAX_TRIES:
                self._queue.again(delivery)
                return
            log.warning("a notification to %s was given up: %s", envelope["topic"], error)
        self._queue.done(delivery)


def default_publish(folder: Path) -> Publish:
    """To the emulator of Pub/Sub where there is one, never to the real one; else into a file."""
    return _PubSub() if os.environ.get(PUBSUB_EMULATOR) else _File(folder / "notifications.jsonl")


class _PubSub:
    """Google's own client, made when it is needed first; it finds the emulator by the variable."""

    def __init__(self) -> None:
        self._client: Any = None

    def __call__(self, notification: Notification) -> None:
        from google.cloud.pubsub_v1 import PublisherClient  # noqa: PLC0415 - half a second that not every server needs

        self._client = self._client or PublisherClient()
        sent = self._client.publish(notification.topic, notification.data, **notification.attributes)
        sent.result(_PUBLISH_WITHIN)


class _File:
    """One JSON object a line."""

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
