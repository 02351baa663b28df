"""What arrives becomes an event of ours, or is ignored with a reason; nothing makes the door fall in."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.factories import NOW, RUN_ID

from epydrop.core.events import (
    CancelRequested,
    CheckRequested,
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
from epydrop.formats.names import JobName, Stage
from epydrop.service.parse import FINALIZED, PUBLISHED, parse, parse_kick

JOB_ID = f"runner-{RUN_ID}-2"
IMAGE = f"sha256:{'0a' * 32}"
DROPPED = Dropped("drops", "experiments/flu.yaml", 1795383864565479, NOW, "Zm9v")


def finalized(**changes: Any) -> dict[str, Any]:
    """Cloud Storage's event for a dropped experiment; None takes a field away."""
    data = {
        "bucket": "drops",
        "name": "experiments/flu.yaml",
        "generation": "1795383864565479",
        "metageneration": "1",
        "size": "812",
        "timeCreated": "2026-11-22T12:00:00.000Z",
        "md5Hash": "Zm9v",
        **changes,
    }
    return {"type": FINALIZED, "data": {key: value for key, value in data.items() if value is not None}}


def published(message: dict[str, Any] | bytes | None, **fields: Any) -> dict[str, Any]:
    """A Pub/Sub message as Eventarc hands it over."""
    text = json.dumps(message).encode() if isinstance(message, dict) else message
    data = {} if text is None else {"data": base64.b64encode(text).decode()}
    wrapped = {**data, "messageId": "8001", "publishTime": "2026-11-22T12:00:00Z", **fields}
    return {"type": PUBLISHED, "data": {"message": wrapped, "subscription": "projects/p/subscriptions/s"}}


def notified(**attributes: str) -> dict[str, Any]:
    """A notification of Cloud Batch: attributes and no data."""
    ours = {
        "Type": "JOB_STATE_CHANGED",
        "JobName": f"projects/p/locations/r/jobs/{JOB_ID}",
        "JobUID": "j-1",
        "NewJobState": "SUCCEEDED",
    }
    return published(None, attributes={**ours, **attributes})


def test_a_dropped_experiment_is_a_file_dropped() -> None:
    """Numbers come as strings of digits."""
    assert parse(finalized()) == FileDropped(DROPPED, 812)


def test_a_dropped_kick_is_a_kick_dropped() -> None:
    """What it asks for stands in the file."""
    assert parse(finalized(name="kicks/stop.json")) == KickDropped(replace(DROPPED, name="kicks/stop.json"), 812)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "replies/flu.yaml.RUN.json"},
        {"name": "experiments/flu.yaml.tmp"},
        {"name": "gcloud/tmp/parallel_composite_uploads/experiments/flu.yaml"},
        {"name": "experiments/"},
        {"name": "experiments//flu.yaml"},
        {"name": "experiments/../flu.yaml"},
        {"name": f"experiments/{'x' * 950}.yaml"},
        {"name": "experiments/flu\n.yaml"},
        {"name": "experiments/\ud800.yaml"},
        {"name": "kicks/stop.yaml"},
        {"name": "replies/kicks/stop.json.7.json"},
        {"name": None},
        {"name": 7},
        {"size": "0"},
        {"size": "many"},
        {"size": "9" * 5000},
        {"generation": None},
        {"timeCreated": "yesterday"},
        {"timeCreated": "2026-11-22T12:00:00"},
        {"bucket": None},
    ],
)
def test_other_objects_are_ignored(changes: dict[str, Any]) -> None:
    """Replies, parts of composite uploads, empty objects, events that lack something."""
    assert isinstance(parse(finalized(**changes)), Ignored)


def test_a_notification_of_our_job_is_a_job_changed() -> None:
    """Its name says it all."""
    assert parse(notified()) == JobChanged(JobName(Stage.RUNNER, RUN_ID, 2), JobState.SUCCEEDED)


def test_an_unknown_state_is_still_a_hint() -> None:
    """Batch may learn new ones."""
    assert parse(notified(NewJobState="HIBERNATING")) == JobChanged(JobName(Stage.RUNNER, RUN_ID, 2), None)


@pytest.mark.parametrize("attributes", [{"Type": "TASK_STATE_CHANGED"}, {"JobName": "projects/p/jobs/nightly"}])
def test_other_notifications_are_ignored(attributes: dict[str, str]) -> None:
    """Of tasks, and of other people's jobs."""
    assert isinstance(parse(notified(**attributes)), Ignored)


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"sweep": True}, SweepRequested(NOW)),
        ({"check": RUN_ID}, CheckRequested(RUN_ID)),
        ({"found": finalized()["data"]}, FileDropped(DROPPED, 812)),
        ({"start": "gs://drops/experiments/flu.yaml"}, StartRequested("drops", "experiments/flu.yaml", "8001", NOW)),
        ({"cancel": RUN_ID}, CancelRequested(RUN_ID, "8001", NOW)),
        ({"output": RUN_ID}, OutputRequested(RUN_ID, "8001", NOW)),
        ({"output": RUN_ID, "config": {"outputs": {}}}, OutputRequested(RUN_ID, "8001", NOW, {"outputs": {}})),
        ({"retry": RUN_ID}, RetryRequested(RUN_ID, "8001", NOW)),
        ({"retry": RUN_ID, "from": "all"}, RetryRequested(RUN_ID, "8001", NOW, Stage.BUILDER)),
        (
            {"retry": RUN_ID, "from": "runner", "memory_mib": 9000, "spot": False, "image": IMAGE},
            RetryRequested(RUN_ID, "8001", NOW, Stage.RUNNER, Changes(memory_mib=9000, spot=False, image=IMAGE)),
        ),
    ],
)
def test_a_kick_is_what_it_asks_for(message: dict[str, Any], event: object) -> None:
    """As people type it after ``--message``."""
    assert parse(published(message)) == event


def test_snake_case_copies_serve_as_well() -> None:
    """The emulator and some libraries send them."""
    envelope = published(
        {"cancel": RUN_ID}, messageId=None, publishTime=None, message_id="5", publish_time="2026-11-22T12:00:00Z"
    )

    assert parse(envelope) == CancelRequested(RUN_ID, "5", datetime(2026, 11, 22, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"cancel": RUN_ID, "retry": RUN_ID},
        {"cancel": "latest"},
        {"cancel": 7},
        {"cancel": RUN_ID, "now": True},
        {"retry": RUN_ID, "from": "start"},
        {"retry": RUN_ID, "memory_mib": "lots"},
        {"retry": RUN_ID, "memory_mib": True},
        {"retry": RUN_ID, "max_run_duration": 0},
        {"retry": RUN_ID, "spot": "yes"},
        {"retry": RUN_ID, "image": 7},
        {"retry": RUN_ID, "image": "latest"},
        {"retry": RUN_ID, "image": "other.host/p/r/stage@sha256:0"},
        {"retry": RUN_ID, "memory_mib": 10**30},
        {"start": 7},
        {"start": "experiments/flu.yaml"},
        {"start": "gs://drops/replies/flu.yaml"},
        {"start": "gs://drops/experiments/flu.txt"},
        {"start": "gs://drops/experiments//flu.yaml"},
        {"start": f"gs://drops/experiments/{'x' * 950}.yaml"},
        {"output": RUN_ID, "config": "more.yaml"},
        {"output": RUN_ID, "config": {"outputs": "x" * 70_000}},
        b"not JSON",
        b"[1]",
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_message_that_asks_for_nothing_clear_is_refused(message: dict[str, Any] | bytes) -> None:
    """Whoever sent it finds the reason in the log; and were it a file, in the reply."""
    event = parse(published(message))

    assert isinstance(event, Refused)
    assert event.kick_id == "8001"
    assert event.reason
    assert len(event.reason) < 600
    text = json.dumps(message).encode() if isinstance(message, dict) else message
    assert isinstance(parse_kick(text, "drops/kicks/a.json#1", NOW), Refused)


@pytest.mark.parametrize("fields", [{}, {"attributes": {}}, {"attributes": None}, {"data": ""}, {"data": "%%"}])
def test_a_message_with_nothing_in_it_is_ignored(fields: dict[str, Any]) -> None:
    """Not even a person's mistake."""
    event = parse(published(None, **fields))

    assert isinstance(event, Ignored)
    assert not isinstance(event, Refused)


def test_a_file_asks_as_a_message_does() -> None:
    """With the object for its identity, and the time at which it was dropped."""
    assert parse_kick(b'{"cancel": "%b"}' % RUN_ID.encode(), "drops/kicks/a.json#1", NOW) == CancelRequested(
        RUN_ID, "drops/kicks/a.json#1", NOW
    )


@pytest.mark.parametrize("message", [{"check": RUN_ID}, {"sweep": True}, {"found": {}}])
def test_what_only_we_ask_ourselves_no_file_can_ask(message: dict[str, Any]) -> None:
    """A file is a person's."""
    assert isinstance(parse_kick(json.dumps(message).encode(), "drops/kicks/a.json#1", NOW), Refused)


def test_a_command_without_an_identity_is_ignored() -> None:
    """A repeated delivery could not be recognised."""
    assert isinstance(parse(published({"cancel": RUN_ID}, messageId=None)), Refused)
    assert isinstance(parse(published({"cancel": RUN_ID}, publishTime="today")), Refused)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
field_names = st.sampled_from(["type", "data", "message", "attributes", "name", "Type", "JobName", "bucket", "size"])


@given(st.dictionaries(field_names, json_values | st.sampled_from([FINALIZED, PUBLISHED])))
def test_no_envelope_makes_it_raise(envelope: dict[str, Any]) -> None:
    """An exception here would be redelivered for a day."""
    parse(envelope)


@given(st.sampled_from([FINALIZED, PUBLISHED]), st.dictionaries(field_names, json_values))
def test_no_data_makes_it_raise(kind: str, data: dict[str, Any]) -> None:
    """Nor inside the right envelope."""
    parse({"type": kind, "data": data})
    parse({"type": PUBLISHED, "data": {"message": data}})
