"""Fault injection through the API: lost machines, failing tasks, held jobs, lost, late or repeated notifications."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from support.batch_jobs import a_job, a_server, exit_codes, grpc_client, ran, state_of, tasks_of, until

from batch_emulator.engine.errors import InvalidInputError
from batch_emulator.engine.jobs import TaskExit


@pytest.fixture
def client(clients):
    return clients["grpc"]


def test_a_server_with_an_invalid_fault_does_not_start(tmp_path):
    """Otherwise it would only show when a job runs."""
    with pytest.raises(InvalidInputError, match="mischief fire"), a_server(tmp_path, faults={"fire": "1"}):
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
def test_a_task_with_a_fault_shows_the_exit_code_and_batchs_wording(client, place, word, code, reason):
    """The other task is spared."""
    job = ran(client, place, a_job("true", tasks=2, labels={f"mischief-{word}": "1"}))

    spared, killed = tasks_of(client, job)
    assert (exit_codes(spared), exit_codes(killed)) == ([0], [code])
    assert killed.status.status_events[-1].description.endswith(reason)
    assert reason in job.status.status_events[-1].description


def test_a_task_fails_in_as_many_tries_as_wanted(client, place):
    """One fault after the other."""
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
    client.cancel_job(name=held.name).result(timeout=900)
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

TOPIC = "projects/p/topics/t"
EVERY_STATE = [{"pubsub_topic": TOPIC, "message": {"type_": "JOB_STATE_CHANGED"}}]


def test_notifications_of_one_job_are_lost_while_those_of_another_come_late_and_twice(tmp_path):
    """A job's own faults, and those of the server."""
    states = {"late": [], "lost": []}

    def publish(notification):
        states[notification.attributes["JobName"].rsplit("/", 1)[1]].append(notification.attributes["NewJobState"])

    with a_server(tmp_path, publish=publish, faults={"delay": "500ms", "repeat": "100", "seed": "1"}) as served:
        client = grpc_client(served)
        labels = {"late": {}, "lost": {"mischief-drop": "100", "mischief-delay": "0s"}}
        for job_id, own in labels.items():
            ran(client, "projects/p/locations/l", a_job(notifications=EVERY_STATE, labels=own), job_id)
        until(lambda: len(states["late"]) == 8)
        client.transport.close()

    assert states["lost"] == []
    assert Counter(states["late"]) == dict.fromkeys(["QUEUED", "SCHEDULED", "RUNNING", "SUCCEEDED"], 2)
    assert states["late"] != sorted(states["late"], key=["QUEUED", "SCHEDULED", "RUNNING", "SUCCEEDED"].index)
