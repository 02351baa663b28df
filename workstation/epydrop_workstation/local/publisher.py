"""Messages to epydrop's own topics: kicks go into the event queue, notifications of runs into a file."""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from epydrop.errors import RetryableError
from epydrop_workstation.local.envelopes import kick_envelope, new_message_id
from epydrop_workstation.local.event_queue import SqliteEventQueue


class QueuePublisher:
    """The Publisher port. ``notifications`` is a file with one JSON object per line."""

    def __init__(self, queue: SqliteEventQueue, notifications: Path) -> None:
        self._queue = queue
        self._notifications = notifications

    def publish(self, topic: str, message: dict[str, Any]) -> None:
        """Sends a message to the topic 'kicks' or 'runs'. Raises RetryableError if that fails."""
        match topic:
            case "kicks":
                self._queue.put(kick_envelope(message, new_message_id(), datetime.now(UTC)))
            case "runs":
                self._append(json.dumps(message, ensure_ascii=False) + "\n")
            case _:
                raise ValueError(f"there is no topic {topic!r}; expected 'kicks' or 'runs'")

    def _append(self, line: str) -> None:
        try:
            file = os.open(self._notifications, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                data = line.encode()
                if os.write(file, data) < len(data):  # one write: lines of several processes never mix
                    raise OSError(errno.ENOSPC, "the disk took a part of the line only")
            finally:
                os.close(file)
        except OSError as error:
            raise RetryableError(f"the notification was not written to {self._notifications}: {error}") from error
