"""Trouble on demand: lost machines, failing tasks, jobs that wait, notifications that are lost, late or repeated."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from support.batch_jobs import a_job, a_server, exit_codes, finished, grpc_client, ran, state_of, tasks_of, until

from batch_emulator.fault_plans import Mischief, UnknownMischief, mischief_of
from epydrop.core.jobs import JobState, TaskExit
from epydrop.errors import BadInput

TOPIC = "projects/p/topics/t"
TOLD = [{"pubsub_topic": TOPIC, "message": {"type_": "JOB_STATE_CHANGED"}}]


@pytest.fixture
def client(clients):
    return clients["grpc"]


# -- the words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, Mischief()),
        ({"preempt": "3"}, Mischief(strikes={50001: {3: 1}})),
        ({"lose-vm": "0-2x2"}, Mischief(strikes={50002: {0: 2, 1: 2, 2: 2}})),
        ({"exit-137": "0_5-6"}, Mischief(strikes={137: {0: 1, 5: 1, 6: 1}})),
        ({"hold": "queued"}, Mischief(hold=(JobState.QUEUED, None))),
        ({"hold": "scheduled-5m"}, Mischief(hold=(JobState.SCHEDULED, 300.0))),
        ({"drop": "50", "repeat": "100"}, Mischief(drop=0.5, repeat=1.0)),
        ({"delay": "250ms", "seed": "4"}, Mischief(delay=0.25, seed=4)),
        ({"jobs": "runner-"}, Mischief(jobs="runner-")),
    ],
)
def test_the_words_are_read(words, expected):
    """Each is legal as a label too."""
    assert mischief_of(words) == expected


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("fire", "1"),
        ("preempt", ""),
        ("preempt", "all"),
        ("preempt", "3x"),
        ("preempt", "0-100000"),
        ("exit-0", "1"),
        ("hold", "running"),
        ("hold", "queued-soon"),
        ("drop", "101"),
        ("drop", "0.5"),
        ("delay", "5"),
        ("seed", "x"),
    ],
)
def test_a_word_that_is_none_is_refused(word, value):
    """With what was expected."""
    with pytest.raises(UnknownMischief) as caught:
        mischief_of({word: value})

    assert caught.value.word == word
    assert "expected" in str(caught.value) or "at most" in str(caught.value)


def test_a_job_has_its_own_words_over_those_of_the_server():
    """Those of the server count only for the jobs that are meant."""
    server = mischief_of({"drop": "50", "seed": "3", "jobs": "runner-"})
    own = {"mischief-delay": "1s", "team": "flu"}

    assert server.of_job("runner-1", own) == Mischief(drop=0.5, delay=1.0, seed=3, jobs="runner-")
    assert server.of_job("builder-1", own) == Mischief(delay=1.0, seed=3)


def test_a_server_with_mischief_that_is_none_does_not_start(tmp_path):
    """It would be found out too late."""
    with pytest.raises(BadInput, match="mischief fire"), a_server(tmp_path, mischief={"fire": "1"}):
        pass


# -- tasks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "code", "reason"),
    [
        ("preempt", 50001, "due to Spot VM preemption with exit code 50001."),
        ("lose-vm", 50002, "due to Batch no longer receives VM updates with exit code 50002."),
        ("exit-50003", 50003, "due to VM is rebooted during task execution with exit code 50003."),
        ("exit-50004", 50004, "due to tasks cannot be canceled with exit code 50004."),
        ("exit-50006", 50006, "due to VM is recreated during task execution with exit code 50006."),
        ("exit-9", 9, "with exit code 9."),
    ],
)
def test_a_struck_task_shows_the_exit_code_and_batchs_words(client, place, word, code, reason):
    """The other is left alone."""
    job = ran(client, place, a_job("true", tasks=2, labels={f"mischief-{word}": "1"}))

    left, struck = tasks_of(client, job)
    assert (exit_codes(left), exit_codes(struck)) == ([0], [code])
    assert struck.status.status_events[-1].description.endswith(reason)
    assert reason in job.status.status_events[-1].description


def test_a_task_is_struck_in_as_many_tries_as_wanted(client, place):
    """One kind of trouble after the other."""
    labels = {"mischief-preempt": "0x2", "mischief-lose-vm": "0"}
    job = ran(client, place, a_job("true", labels=labels, max_retry_count=5))

    (task,) = tasks_of(client, job)
    assert exit_codes(task) == [TaskExit.PREEMPTED, TaskExit.PREEMPTED, TaskExit.REPORTING_TIMEOUT, 0]


# -- jobs that wait ------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["queued", "scheduled"])
def test_a_held_job_waits_in_its_state_and_can_be_cancelled(client, place, state):
    """Others go on."""
    held = client.create_job(parent=place, job=a_job(labels={"mischief-hold": state}))
    ran(client, place, a_job())

    assert state_of(client, held.name) == state.upper()
    client.cancel_job(name=held.name).result(timeout=60)
    assert [task.status.state.name for task in tasks_of(client, held)] == ["UNEXECUTED"]


def test_a_job_held_for_some_time_runs_after_it(client, place):
    """Counted from its creation."""
    began = time.time()
    job = ran(client, place, a_job(labels={"mischief-hold": "scheduled-1s"}))

    assert job.status.state.name == "SUCCEEDED"
    assert time.time() - began >= 1.0
    events = job.status.status_events
    assert (events[1].event_time - job.create_time).total_seconds() >= 1.0
    assert (events[0].event_time - job.create_time).total_seconds() < 1.0


# -- notifications -------------------------------------------------------------------------------


def told(tmp_path, name, **words):
    """The states that a job's notifications told of, by a server with this mischief."""
    got = []
    with a_server(tmp_path / name, publish=got.append, mischief=words) as served:
        client = grpc_client(served)
        job = client.create_job(parent="projects/p/locations/l", job=a_job(notifications=TOLD), job_id="job-1")
        finished(client, job.name)
        until(lambda: len(got) >= 4 or time.time() > job.create_time.timestamp() + 2)
        client.transport.close()
    return [notification.attributes["NewJobState"] for notification in got]


def test_notifications_are_dropped(tmp_path):
    """All of them, or the same ones for the same seed."""
    assert told(tmp_path, "a", drop="100") == []
    some = [told(tmp_path, name, drop="50", seed="2") for name in "bc"]
    assert some[0] == some[1]
    assert 0 < len(some[0]) < 4


def test_notifications_are_repeated(tmp_path):
    """Each one twice."""
    counts = Counter(told(tmp_path, "a", repeat="100"))

    assert set(counts.values()) <= {1, 2}
    assert 2 in counts.values()


def test_notifications_come_late_and_out_of_order(tmp_path):
    """But they come."""
    states = told(tmp_path, "a", delay="1s", seed="1")

    assert sorted(states) == ["QUEUED", "RUNNING", "SCHEDULED", "SUCCEEDED"]
    assert states != ["QUEUED", "SCHEDULED", "RUNNING", "SUCCEEDED"]
