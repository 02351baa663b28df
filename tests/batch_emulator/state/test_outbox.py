"""Notifications wait in the state file until they are published, and are given up after six attempts."""

from __future__ import annotations

import logging
import time

import pytest
from support.engine_jobs import until

from batch_emulator.options import Notification
from batch_emulator.state import outbox as outbox_module
from batch_emulator.state.outbox import Outbox
from batch_emulator.state.publisher import Publisher
from batch_emulator.state.schema import open_state

ONE = Notification("projects/p/topics/t", {"NewJobState": "QUEUED"}, "Île".encode())


@pytest.fixture
def database(tmp_path):
    database = open_state(tmp_path)
    yield database
    database.close()


@pytest.fixture
def calls():
    return []


@pytest.fixture
def outbox(database, calls):
    return Outbox(database, lambda: calls.append("put"))


def test_a_notification_is_returned_until_it_is_done(outbox, calls):
    """Unchanged; a server that is killed meanwhile finds it again."""
    outbox.put(ONE, [0.0])

    assert outbox.next().notification == ONE
    pending = outbox.next()
    assert (pending.notification, pending.attempt) == (ONE, 1)
    outbox.done(pending)

    assert (outbox.next(), outbox.next_due()) == (None, None)
    assert calls == ["put"]


def test_each_delay_is_a_copy_that_becomes_due_later(outbox):
    """No delay at all means a lost notification."""
    now = time.time()
    outbox.put(ONE, [])
    outbox.put(ONE, [500.0, 400.0])

    assert outbox.next() is None
    assert now + 400 <= outbox.next_due() < now + 500


def test_a_retry_waits_twice_as_long_each_time_up_to_ten_seconds(outbox, database):
    """And counts the attempts."""
    outbox.put(ONE, [0.0])
    for attempt, pause in enumerate((0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0), 1):
        pending = outbox.next()
        assert pending.attempt == attempt
        before = time.time()
        outbox.retry_later(pending)
        assert before + pause <= outbox.next_due() <= time.time() + pause
        with database.transaction() as connection:
            connection.execute("UPDATE events SET due = 0")


def test_a_put_in_a_transaction_that_fails_is_forgotten(outbox, database):
    """What did not happen is not announced."""

    def fail():
        with database.transaction():
            outbox.put(ONE, [0.0])
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert outbox.next_due() is None


def test_a_notification_that_cannot_be_published_is_given_up_after_six_attempts(database, monkeypatch, caplog):
    """The log names its topic; the next one is published."""
    monkeypatch.setattr(outbox_module, "_FIRST_BACKOFF", 0.0)
    monkeypatch.setattr(logging.getLogger("batch_emulator"), "propagate", True)  # for caplog
    attempts = []

    def publish(notification):
        attempts.append(notification)
        if notification == ONE:
            raise ConnectionError("no such topic")

    publisher = Publisher(publish)
    outbox = Outbox(database, publisher.wake)
    outbox.put(ONE, [0.0])
    publisher.start(outbox)
    other = Notification("projects/p/topics/other", {}, b"")
    try:
        until(lambda: outbox.next_due() is None)
        outbox.put(other, [0.0])
        until(lambda: outbox.next_due() is None)
    finally:
        publisher.close()

    assert attempts == [ONE] * 6 + [other]
    assert "projects/p/topics/t: no such topic" in caplog.text
