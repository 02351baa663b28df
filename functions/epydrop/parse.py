"""Envelope in, event out. The only file that knows Google's field names; everything is checked here, once.

What is not for us becomes ``Ignored`` with a reason; nothing that arrives can make this raise.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from epydrop import names
from epydrop.events import (
    CancelRequested,
    CheckRequested,
    Event,
    FileDropped,
    Ignored,
    JobChanged,
    OutputRequested,
    RetryRequested,
    SweepRequested,
)
from epydrop.jobs import JobState
from epydrop.names import Stage
from epydrop.run import Changes, Dropped

FINALIZED = "google.cloud.storage.object.v1.finalized"
PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"

_KEYS = {
    "cancel": {"cancel"},
    "retry": {"retry", "from", "memory_mib", "max_run_duration", "spot", "image"},
    "output": {"output", "config"},
}
_MAX_CONFIG = 64 * 1024  # bytes; it stands in the run's document, which Firestore bounds at 1 MiB
_DIGITS = re.compile(r"[0-9]{1,19}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(envelope: Mapping[str, Any]) -> Event:
    """The event inside a CloudEvent given as a mapping of its attributes and ``data``."""
    data = envelope.get("data")
    match envelope.get("type"):
        case str() as kind if kind == FINALIZED:
            return _finalized(data) if isinstance(data, Mapping) else Ignored("a finalize event without data")
        case str() as kind if kind == PUBLISHED:
            message = data.get("message") if isinstance(data, Mapping) else None
            return _message(message) if isinstance(message, Mapping) else Ignored("a published event without a message")
        case kind:
            return Ignored(f"events of type {kind!r} are not for us")


# -- Cloud Storage -------------------------------------------------------------------------------


def _finalized(data: Mapping[str, Any]) -> Event:
    name = data.get("name")
    if not isinstance(name, str) or not name.startswith(names.EXPERIMENTS):
        return Ignored(f"the object {name!r} is not under {names.EXPERIMENTS}")
    if not name.endswith(names.EXPERIMENT_SUFFIXES):
        return Ignored(f"the object {name!r} ends in none of {', '.join(names.EXPERIMENT_SUFFIXES)}")
    bucket, created = data.get("bucket"), _moment(data.get("timeCreated"))
    generation, size = _whole(data.get("generation")), _whole(data.get("size"))
    if not isinstance(bucket, str) or created is None or generation is None or size is None:
        return Ignored(f"the finalize event of {name!r} lacks a bucket, generation, size or timeCreated")
    if size == 0:
        return Ignored(f"the object {name!r} is empty")
    return FileDropped(Dropped(bucket, name, generation, created, str(data.get("md5Hash", ""))), size)


# -- Pub/Sub -------------------------------------------------------------------------------------


def _message(message: Mapping[str, Any]) -> Event:
    attributes = message.get("attributes")
    if isinstance(attributes, Mapping) and "Type" in attributes:
        return _job_notification(attributes)
    try:
        text = base64.b64decode(message.get("data") or "", validate=True)
        kick = json.loads(text)
    except (binascii.Error, TypeError, ValueError, RecursionError) as error:
        return Ignored(f"the message is neither a job notification nor JSON: {error}")
    if not isinstance(kick, dict):
        return Ignored(f"the message is {kick!r}, expected an object such as {{'cancel': 'RUN_ID'}}")
    identity = message.get("messageId") or message.get("message_id")
    published = _moment(message.get("publishTime") or message.get("publish_time"))
    return _kick(kick, identity if isinstance(identity, str) else "", published or _EPOCH)


def _job_notification(attributes: Mapping[str, Any]) -> Event:
    if attributes.get("Type") != "JOB_STATE_CHANGED":
        return Ignored(f"notifications of type {attributes.get('Type')!r} are not for us")
    job_name = str(attributes.get("JobName", ""))
    job = names.parse_job_id(job_name.rsplit("/", 1)[-1])
    if job is None:
        return Ignored(f"the job {job_name!r} is none of ours")
    try:
        state = JobState(str(attributes.get("NewJobState")))
    except ValueError:
        state = None  # an unknown state is still a hint that something changed
    return JobChanged(job, state)


def _kick(kick: dict[str, Any], kick_id: str, published: datetime) -> Event:
    if kick.get("sweep") is True:
        return SweepRequested()
    asked = [verb for verb in ("check", "cancel", "retry", "output") if verb in kick]
    if len(asked) != 1:
        return Ignored(f"the message {kick!r} asks for none or several of check, cancel, retry, output")
    verb, run_id = asked[0], kick[asked[0]]
    if not isinstance(run_id, str) or not names.is_run_id(run_id):
        return Ignored(f"{verb} names {run_id!r}, which is not a run id")
    if verb == "check":
        return CheckRequested(run_id)
    if not kick_id or published is _EPOCH:
        return Ignored(f"the {verb} of {run_id} has no message id or publish time")
    unknown = set(kick) - _KEYS[verb]
    if unknown:
        return Ignored(f"the {verb} of {run_id} has unknown keys: {', '.join(sorted(unknown))}")
    match verb:
        case "cancel":
            return CancelRequested(run_id, kick_id, published)
        case "output":
            return _output(kick, run_id, kick_id, published)
        case _:
            return _retry(kick, run_id, kick_id, published)


def _retry(kick: dict[str, Any], run_id: str, kick_id: str, published: datetime) -> Event:
    start = kick.get("from")
    if start == "all":
        start = Stage.BUILDER
    if start is not None and start not in tuple(Stage):
        return Ignored(f"the retry of {run_id} is from {start!r}, expected builder, runner, output or all")
    memory, duration, spot, image = (kick.get(key) for key in ("memory_mib", "max_run_duration", "spot", "image"))
    for key, value in (("memory_mib", memory), ("max_run_duration", duration)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value <= 0):
            return Ignored(f"the retry of {run_id} has {key} {value!r}, expected a whole number above 0")
    if spot is not None and not isinstance(spot, bool):
        return Ignored(f"the retry of {run_id} has spot {spot!r}, expected true or false")
    if image is not None and not isinstance(image, str):
        return Ignored(f"the retry of {run_id} has image {image!r}, expected sha256:...")
    changes = Changes(memory, duration, spot, image)
    return RetryRequested(run_id, kick_id, published, Stage(start) if start else None, changes)


def _output(kick: dict[str, Any], run_id: str, kick_id: str, published: datetime) -> Event:
    config = kick.get("config", {})
    if not isinstance(config, dict):
        return Ignored(f"the output of {run_id} has config {config!r}, expected an object such as {{'outputs': ...}}")
    size = len(json.dumps(config))
    if size > _MAX_CONFIG:
        return Ignored(f"the output of {run_id} has a config of {size} bytes, at most {_MAX_CONFIG} are taken")
    return OutputRequested(run_id, kick_id, published, config)


# -- parts ---------------------------------------------------------------------------------------


def _whole(value: object) -> int | None:
    """A JSON number or, as Google writes 64-bit numbers, a string of digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else None


def _moment(value: object) -> datetime | None:
    """An RFC 3339 time with its zone."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
