"""What is published of jobs and tasks, to whom, and what happens when it cannot be."""

from __future__ import annotations

import json

import pytest
from support.batch_jobs import PATIENCE, a_job, a_server, grpc_client, ran, until

JOBS, TASKS = "projects/p/topics/jobs", "projects/p/topics/tasks"
PLACE = "projects/p/locations/us-central1"


@pytest.fixture
def got():
    """What a recording publisher was given."""
    return []


@pytest.fixture
def client(tmp_path, got):
    with a_server(tmp_path, publish=got.append) as served:
        client = grpc_client(served)
        yield client
        client.transport.close()


def of(got, topic):
    return [notification.attributes for notification in got if notification.topic == topic]


def test_every_state_of_a_job_is_published_to_the_topic_that_it_names(client, got):
    """In attributes, as Batch does; the data is for people."""
    asked_for = [{"pubsub_topic": JOBS, "message": {"type_": "JOB_STATE_CHANGED"}}]
    job = ran(client, PLACE, a_job(notifications=asked_for), "job-1")
    until(lambda: len(got) == 4)

    assert of(got, JOBS) == [
        {"Type": "JOB_STATE_CHANGED", "JobName": job.name, "JobUID": job.uid, "NewJobState": state}
        for state in ("QUEUED", "SCHEDULED", "RUNNING", "SUCCEEDED")
    ]
    assert b"currentState=SUCCEEDED" in got[-1].data


def test_a_job_can_ask_for_one_state_only(client, got):
    """With or without the type."""
    asked_for = [
        {"pubsub_topic": JOBS, "message": {"type_": "JOB_STATE_CHANGED", "new_job_state": "FAILED"}},
        {"pubsub_topic": TASKS, "message": {"new_job_state": "RUNNING"}},
    ]
    ran(client, PLACE, a_job("false", notifications=asked_for))
    until(lambda: len(got) == 2)

    assert [attributes["NewJobState"] for attributes in of(got, JOBS)] == ["FAILED"]
    assert [attributes["NewJobState"] for attributes in of(got, TASKS)] == ["RUNNING"]


def test_every_state_of_a_task_is_published_to_the_topic_that_asks_for_it(client, got):
    """Named by its job and index."""
    asked_for = [
        {"pubsub_topic": TASKS, "message": {"type_": "TASK_STATE_CHANGED"}},
        {"pubsub_topic": JOBS, "message": {"new_task_state": "FAILED"}},
    ]
    job = ran(client, PLACE, a_job("test $BATCH_TASK_INDEX = 0", tasks=2, parallelism=1, notifications=asked_for))
    until(lambda: len(got) == 5)

    assert of(got, TASKS) == [
        {
            "Type": "TASK_STATE_CHANGED",
            "TaskName": f"{job.name}/taskGroups/group0/tasks/{index}",
            "TaskUID": f"{job.uid}-group0-{index}",
            "JobUID": job.uid,
            "NewTaskState": state,
        }
        for index, state in ((0, "RUNNING"), (0, "SUCCEEDED"), (1, "RUNNING"), (1, "FAILED"))
    ]
    assert [attributes["NewTaskState"] for attributes in of(got, JOBS)] == ["FAILED"]


def test_an_entry_without_message_or_topic_sends_nothing(client, got):
    """As the protocol says."""
    ran(client, PLACE, a_job(notifications=[{"pubsub_topic": JOBS}, {"message": {"type_": "JOB_STATE_CHANGED"}}]))

    assert got == []


def test_a_notification_that_could_not_be_published_is_retried(tmp_path):
    """In the end each state was published."""
    published, refused = [], []

    def publish(notification):
        if len(refused) < 3:
            refused.append(notification)
            raise ConnectionError("not just now")
        published.append(notification.attributes["NewJobState"])

    with a_server(tmp_path, publish=publish) as served:
        client = grpc_client(served)
        asked_for = [{"pubsub_topic": JOBS, "message": {"type_": "JOB_STATE_CHANGED"}}]
        ran(client, PLACE, a_job(notifications=asked_for))
        until(lambda: len(published) == 4)
        client.transport.close()

    assert sorted(published) == ["QUEUED", "RUNNING", "SCHEDULED", "SUCCEEDED"]


def test_without_an_emulator_of_pubsub_they_go_into_a_file(tmp_path, monkeypatch):
    """Never to the real one."""
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    with a_server(tmp_path, publish=None) as served:
        client = grpc_client(served)
        asked_for = [{"pubsub_topic": JOBS, "message": {"new_job_state": "SUCCEEDED"}}]
        job = ran(client, PLACE, a_job(notifications=asked_for))
        file = tmp_path / "notifications.jsonl"
        until(file.exists)
        client.transport.close()

    (line,) = map(json.loads, file.read_text().splitlines())
    assert (line["topic"], line["attributes"]["JobUID"]) == (JOBS, job.uid)


def test_the_emulator_of_pubsub_gets_them(pubsub_emulator, tmp_path, monkeypatch):
    """By Google's own client, to the topic that the job names."""
    from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_emulator)
    subscription = "projects/p/subscriptions/jobs"
    with PublisherClient() as publisher, SubscriberClient() as subscriber:
        publisher.create_topic(name=JOBS)
        subscriber.create_subscription(name=subscription, topic=JOBS)
        with a_server(tmp_path, publish=None) as served:
            client = grpc_client(served)
            asked_for = [{"pubsub_topic": JOBS, "message": {"type_": "JOB_STATE_CHANGED"}}]
            job = ran(client, PLACE, a_job(notifications=asked_for))
            client.transport.close()
            messages = []
            until(lambda: messages.extend(pulled(subscriber, subscription)) or len(messages) >= 4)

    assert {message.attributes["NewJobState"] for message in messages} >= {"QUEUED", "SUCCEEDED"}
    assert {message.attributes["JobUID"] for message in messages} == {job.uid}


def pulled(subscriber, subscription):
    """The messages that are there, acknowledged."""
    request = {"subscription": subscription, "max_messages": 10}
    received = subscriber.pull(request, timeout=PATIENCE).received_messages
    if received:
        subscriber.acknowledge(subscription=subscription, ack_ids=[message.ack_id for message in received])
    return [message.message for message in received]
