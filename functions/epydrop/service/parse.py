"""From envelopes to events. The only file that knows Google's field names, and the one place where they are checked.

What is not for us becomes ``Ignored`` with a reason; nothing that arrives can make this raise.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from epydrop.core.events import (
    CancelRequested,
    CheckRequested,
    Command,
    Event,
    FileDropped,
    Ignored,
    JobChanged,
    KickDropped,
    OutputRequested,
    Refused,
    RetryRequested,
    StartRequested,
    SweepRequested,
)
from epydrop.core.jobs import JobState
from epydrop.core.run import Changes, Dropped
from epydrop.formats import names
from epydrop.formats.names import Stage

FINALIZED = "google.cloud.storage.object.v1.finalized"
PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"

_KEYS = {
    "check": {"check"},
    "cancel": {"cancel"},
    "retry": {"retry", "from", "memory_mib", "max_run_duration", "spot", "image"},
    "output": {"output", "config"},
    "start": {"start"},
}
_EXAMPLE = "an object such as {'cancel': 'RUN_ID'}"
_NO_NAME = f"has more than {names.MAX_DROPPED_NAME} bytes, a line break, or an empty, '.' or '..' part in its path"
_SHOWN = 200  # characters of a person's input that a message quotes
_MAX_CONFIG = 64 * 1024  # bytes; it is stored in the run's document, which Firestore limits to 1 MiB
_DIGITS = re.compile(r"[0-9]{1,19}")
_OBJECT_URL = re.compile(r"gs://([^/]+)/(.+)", re.DOTALL)
_LIMITS = {"memory_mib": 16_000_000, "max_run_duration": 14 * 86_400}  # MiB and seconds, as in an experiment file


def parse(envelope: Mapping[str, Any]) -> Event:
    """The event in a CloudEvent, given as a mapping of its attributes and ``data``. Never raises on bad input."""
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
    if not isinstance(name, str) or not name.startswith((names.EXPERIMENTS, names.KICKS)):
        return Ignored(f"the object {name!r} is under neither {names.EXPERIMENTS} nor {names.KICKS}")
    suffixes = names.EXPERIMENT_SUFFIXES if name.startswith(names.EXPERIMENTS) else (names.KICK_SUFFIX,)
    if not name.endswith(suffixes):
        return Ignored(f"the object {name!r} ends in none of {', '.join(suffixes)}")
    if not names.is_dropped_name(name):
        return Ignored(f"the object {_short(name)} {_NO_NAME}; drop it under another name")
    bucket, created = data.get("bucket"), _moment(data.get("timeCreated"))
    generation, size = _whole(data.get("generation")), _whole(data.get("size"))
    if not isinstance(bucket, str) or created is None or generation is None or size is None:
        return Ignored(f"the finalize event of {name!r} lacks a bucket, generation, size or timeCreated")
    if size == 0:
        return Ignored(f"the object {name!r} is empty")
    dropped = Dropped(bucket, name, generation, created, str(data.get("md5Hash", "")))
    return FileDropped(dropped, size) if name.startswith(names.EXPERIMENTS) else KickDropped(dropped, size)


# -- Pub/Sub -------------------------------------------------------------------------------------


def _message(message: Mapping[str, Any]) -> Event:
    attributes = message.get("attributes")
    if isinstance(attributes, Mapping) and "Type" in attributes:
        return _job_notification(attributes)
    data = message.get("data")
    if not data:
        return Ignored("the message has neither data nor the attributes of a job notification")
    try:
        text = base64.b64decode(data, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        return Ignored(f"the data of the message is not base64: {error}")
    identity = message.get("messageId") or message.get("message_id")
    published = _moment(message.get("publishTime") or message.get("publish_time"))
    kick = _json_object(text)
    if isinstance(kick, dict) and kick.get("sweep") is True:
        return SweepRequested(published)
    if isinstance(kick, dict) and isinstance(kick.get("found"), dict):
        return _finalized(kick["found"])
    if not isinstance(identity, str) or published is None:
        return Refused(
            "the message has no id or publish time, without which a repeated delivery could not be recognised"
        )
    event = _kick(kick, identity, published)
    return replace(event, kick_id=identity) if isinstance(event, Refused) else event


def _job_notification(attributes: Mapping[str, Any]) -> Event:
    if attributes.get("Type") != "JOB_STATE_CHANGED":
        return Ignored(f"notifications of type {attributes.get('Type')!r} are not for us")
    job_name = str(attributes.get("JobName", ""))
    job = names.parse_job_id(job_name.rsplit("/", 1)[-1])
    if job is None:
        return Ignored(f"the job {job_name!r} is not one of ours")
    try:
        state = JobState(str(attributes.get("NewJobState")))
    except ValueError:
        state = None  # an unknown state still means that something changed
    return JobChanged(job, state)


# -- kicks ---------------------------------------------------------------------------------------


def parse_kick(text: bytes, kick_id: str, published: datetime) -> Command | Refused:
    """The command in a kick file; ``kick_id`` and ``published`` are those of the object."""
    event = _kick(_json_object(text), kick_id, published)
    return Refused("a file cannot ask for a check") if isinstance(event, CheckRequested) else event


def _json_object(text: bytes) -> dict[str, Any] | Refused:
    try:
        kick = json.loads(text)
        json.dumps(kick, ensure_ascii=False).encode()  # a lone surrogate can be neither printed nor stored
    except (ValueError, RecursionError) as error:
        return Refused(f"the kick is not JSON: {error}")
    return kick if isinstance(kick, dict) else Refused(f"the kick is {_short(kick)}, expected {_EXAMPLE}")


def _kick(kick: dict[str, Any] | Refused, kick_id: str, published: datetime) -> Command | CheckRequested | Refused:
    if isinstance(kick, Refused):
        return kick
    asked = [verb for verb in _KEYS if verb in kick]
    if len(asked) != 1:
        return Refused(f"the kick {_short(kick)} asks for none or several of {', '.join(_KEYS)}; expected {_EXAMPLE}")
    verb, about = asked[0], kick[asked[0]]
    unknown = set(kick) - _KEYS[verb]
    if unknown:
        known = ", ".join(sorted(_KEYS[verb]))
        return Refused(f"the {verb} has unknown keys: {', '.join(sorted(unknown))}; it may have {known}")
    if verb == "start":
        return _start(about, kick_id, published)
    if not isinstance(about, str) or not names.is_run_id(about):
        return Refused(f"{verb} names {_short(about)}, which is not a run id such as 20261122-231500-1a2b3c4d")
    match verb:
        case "check":
            return CheckRequested(about)
        case "cancel":
            return CancelRequested(about, kick_id, published)
        case "output":
            return _output(kick, about, kick_id, published)
        case "retry":
            return _retry(kick, about, kick_id, published)
        case _:
            raise AssertionError(f"{verb} has keys and no parser")


def _start(url: object, kick_id: str, published: datetime) -> StartRequested | Refused:
    match = _OBJECT_URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        return Refused(f"start names {_short(url)}, expected gs://BUCKET/{names.EXPERIMENTS}NAME")
    bucket, name = match.groups()
    if not name.startswith(names.EXPERIMENTS) or not name.endswith(names.EXPERIMENT_SUFFIXES):
        suffixes = ", ".join(names.EXPERIMENT_SUFFIXES)
        return Refused(f"start names {url}, expected a file under {names.EXPERIMENTS} that ends in one of {suffixes}")
    if not names.is_dropped_name(name):
        return Refused(f"start names {_short(url)}, which {_NO_NAME}")
    return StartRequested(bucket, name, kick_id, published)


def _retry(kick: dict[str, Any], run_id: str, kick_id: str, published: datetime) -> Command | Refused:
    start = kick.get("from")
    if start == "all":
        start = Stage.BUILDER
    if start is not None and start not in tuple(Stage):
        return Refused(f"the retry of {run_id} is from {_short(start)}, expected builder, runner, output or all")
    memory, duration, spot, image = (kick.get(key) for key in ("memory_mib", "max_run_duration", "spot", "image"))
    for key, most in _LIMITS.items():
        value = kick.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most):
            return Refused(f"the retry of {run_id} has {key} {_short(value)}, expected a whole number from 1 to {most}")
    if spot is not None and not isinstance(spot, bool):
        return Refused(f"the retry of {run_id} has spot {_short(spot)}, expected true or false")
    if image is not None and not (isinstance(image, str) and names.is_image_digest(image)):
        return Refused(f"the retry of {run_id} has image {_short(image)}, expected 'sha256:' and 64 hexadecimal digits")
    changes = Changes(memory, duration, spot, image)
    return RetryRequested(run_id, kick_id, published, Stage(start) if start else None, changes)


def _output(kick: dict[str, Any], run_id: str, kick_id: str, published: datetime) -> Command | Refused:
    config = kick.get("config", {})
    if not isinstance(config, dict):
        return Refused(f"the output of {run_id} has config {_short(config)}, expected one such as {{'outputs': ...}}")
    size = len(json.dumps(config))
    if size > _MAX_CONFIG:
        return Refused(f"the output of {run_id} has a config of {size} bytes, at most {_MAX_CONFIG} are taken")
    return OutputRequested(run_id, kick_id, published, config)


# -- parts ---------------------------------------------------------------------------------------


def _whole(value: object) -> int | None:
    """A JSON number or, as Google writes 64-bit numbers, a string of digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else None


def _moment(value: object) -> datetime | None:
    """An RFC 3339 time with a time zone, or None."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _short(value: object) -> str:
    """The value's repr, truncated."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
