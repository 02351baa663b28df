"""What Eventarc does between Pub/Sub and a function, and what it may do: deliver again, late, and in another order.

Cloud Storage's notifications become the CloudEvents that the trigger of a function gets; other messages are handed
on as Pub/Sub pushes them, which functions-framework takes too.
"""

from __future__ import annotations

import base64
import json
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import requests

from support.servers import InThreads

AGAIN_AFTER = 0.5  # seconds
PATIENCE = 1500.0  # seconds; only a hang takes so long


class _Handler(BaseHTTPRequestHandler):
    owner: Postman

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.owner.take(self.path, body))
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@dataclass
class Postman(InThreads):
    """Takes pushes at ``url``/KIND, of one bucket and its topics, and brings them to ``functions[KIND]``.

    With more than one of ``copies`` each message is acknowledged at once, and its copies come at times of their own
    within ``spread`` seconds, each until the function takes it.
    """

    handler = _Handler

    functions: Mapping[str, str]
    bucket: str
    copies: int = 1
    spread: float = 2.0
    seed: int = 0
    delivered: list[tuple[str, int]] = field(default_factory=list)  # kind and the function's answer

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._closing = threading.Event()

    def __exit__(self, *details: object) -> None:
        self._closing.set()
        super().__exit__(*details)

    def take(self, path: str, body: bytes) -> int:
        """Brings a push to its function; returns the status that acknowledges it, or not."""
        kind = path.strip("/").partition("/")[0]
        headers: dict[str, str] = {"Content-Type": "application/json"}
        if kind == "objects":
            found = cloud_event(json.loads(body), self.bucket)
            if found is None:
                return 204  # of another bucket, or no new object
            headers, body = found
        if self.copies == 1:
            return self._deliver(kind, path, headers, body)
        for _ in range(self.copies):
            late = self._random.random() * self.spread
            given = (kind, path, headers, body, late)
            threading.Thread(target=self._deliver_at_last, args=given, daemon=True).start()
        return 204

    def _deliver_at_last(self, kind: str, path: str, headers: Mapping[str, str], body: bytes, late: float) -> None:
        self._closing.wait(late)
        while not self._closing.is_set() and self._deliver(kind, path, headers, body) >= 300:
            self._closing.wait(AGAIN_AFTER)

    def _deliver(self, kind: str, path: str, headers: Mapping[str, str], body: bytes) -> int:
        try:
            answer = requests.post(self.functions[kind] + path, data=body, headers=headers, timeout=PATIENCE)
        except requests.RequestException:
            status = 503  # the function's process died, or is not there yet
        else:
            status = answer.status_code
        self.delivered.append((kind, status))
        return 204 if status < 300 else 503


def cloud_event(push: Mapping[str, Any], bucket: str) -> tuple[dict[str, str], bytes] | None:
    """Headers and body of Eventarc's event for a notification of Cloud Storage, or None where there is none."""
    message = push["message"]
    attributes = message["attributes"]
    if attributes["eventType"] != "OBJECT_FINALIZE" or attributes["bucketId"] != bucket:
        return None
    headers = {
        "Content-Type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": message["messageId"],
        "ce-type": "google.cloud.storage.object.v1.finalized",
        "ce-source": f"//storage.googleapis.com/projects/_/buckets/{bucket}",
        "ce-subject": f"objects/{attributes['objectId']}",
        "ce-time": message["publishTime"],
        "ce-bucket": bucket,
    }
    return headers, base64.b64decode(message["data"])
