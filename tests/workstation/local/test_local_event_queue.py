"""The queue on SQLite keeps the contract, injects faults when asked to, and loses nothing in a crash."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from contracts.event_queue import EventQueueContract

from batch_emulator.engine.faults import DeliveryFaults
from epydrop.core.jobs import JobState
from epydrop_workstation.local.database import Database
from epydrop_workstation.local.envelopes import job_envelope, kick_envelope
from epydrop_workstation.local.event_queue import SqliteEventQueue
from epydrop_workstation.local.publisher import QueuePublisher

MOMENT = datetime(2026, 11, 22, 12, 0, 0, 5000, tzinfo=UTC)


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path)
    yield database
    database.close()


@pytest.fixture
def clock():
    return [1000.0]


@pytest.fixture
def queue(database, clock):
    return SqliteEventQueue(database, clock=lambda: clock[0])


class TestSqliteEventQueue(EventQueueContract):
    """The contract."""


def drained(database, faults, count=40):
    """The ids in the order of their delivery, from a fresh queue that all were put into."""
    clock = [0.0]
    queue = SqliteEventQueue(database, faults, clock=lambda: clock[0])
    for number in range(count):
        queue.put({"id": number})
    ids = []
    while queue.next_due() is not None:
        clock[0] = max(clock[0], queue.next_due())
        delivery = queue.take()
        ids.append(delivery.envelope["id"])
        queue.done(delivery)
    return ids


def test_faults_repeat_and_reorder_but_lose_nothing(database):
    """Unless they are to."""
    ids = drained(database, DeliveryFaults(seed=3, repeat=0.5, delay=2.0, reorder=True))

    assert set(ids) == set(range(40))
    assert len(ids) > 40
    assert ids != sorted(ids)


def test_faults_are_the_same_for_the_same_seed(database):
    """A failure that they provoke can be reproduced."""
    faults = DeliveryFaults(seed=5, repeat=0.3, delay=1.0, reorder=True, drop=0.2)

    assert drained(database, faults) == drained(database, faults)
    assert drained(database, faults) != drained(database, DeliveryFaults(seed=6, repeat=0.3, delay=1.0, reorder=True))


def test_faults_that_drop_everything_deliver_nothing(database):
    """For what only the sweep can repair."""
    assert drained(database, DeliveryFaults(drop=1.0)) == []


def test_a_put_in_a_transaction_that_fails_is_not_delivered(database, queue):
    """Nothing is announced that did not happen."""

    def fail():
        with database.transaction():
            queue.put({"id": "1"})
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert queue.next_due() is None


def test_a_kick_looks_as_pubsub_sends_it():
    """Base64 in the message's data."""
    envelope = kick_envelope({"cancel": "r"}, "17", MOMENT)

    message = envelope["data"]["message"]
    assert envelope["type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert envelope["source"] == "//pubsub.googleapis.com/projects/local/topics/epydrop-kicks"
    assert json.loads(base64.b64decode(message["data"])) == {"cancel": "r"}
    assert (message["messageId"], message["publishTime"]) == ("17", "2026-11-22T12:00:00.005000Z")
    assert message["attributes"] == {}


def test_a_job_notification_looks_as_batch_sends_it():
    """Attributes only."""
    message = job_envelope("runner-x-1", "uid", JobState.SUCCEEDED, MOMENT)["data"]["message"]

    assert "data" not in message
    assert message["attributes"] == {
        "Type": "JOB_STATE_CHANGED",
        "JobName": "projects/local/locations/local/jobs/runner-x-1",
        "JobUID": "uid",
        "NewJobState": "SUCCEEDED",
    }


def test_a_published_kick_comes_back_through_the_queue(queue, tmp_path):
    """Each with an id of its own, since that is what makes it one command."""
    publisher = QueuePublisher(queue, tmp_path / "notifications.jsonl")
    publisher.publish("kicks", {"check": "r"})
    publisher.publish("kicks", {"check": "r"})

    first, second = (queue.take().envelope["data"]["message"] for _ in range(2))

    assert json.loads(base64.b64decode(first["data"])) == {"check": "r"}
    assert first["messageId"] != second["messageId"]


def test_notifications_are_lines_of_a_file(queue, tmp_path):
    """In their order."""
    publisher = QueuePublisher(queue, tmp_path / "notifications.jsonl")
    publisher.publish("runs", {"run_id": "a", "text": "Île"})
    publisher.publish("runs", {"run_id": "b"})

    lines = (tmp_path / "notifications.jsonl").read_text(encoding="utf-8").splitlines()

    assert [json.loads(line) for line in lines] == [{"run_id": "a", "text": "Île"}, {"run_id": "b"}]
    assert queue.next_due() is None


def test_an_unknown_topic_is_a_bug(queue, tmp_path):
    """And said to be one."""
    with pytest.raises(ValueError, match="topic"):
        QueuePublisher(queue, tmp_path / "n.jsonl").publish("weather", {})
