"""The publisher on Pub/Sub: what is sent arrives, on Google's emulator."""

from __future__ import annotations

import base64
import itertools
import json

import pytest
from google.api_core.exceptions import PermissionDenied, ServiceUnavailable
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from support import emulators

from epydrop.core.events import CheckRequested
from epydrop.errors import ConfigurationError, RetryableError
from epydrop.gcp.publisher import PubSubPublisher
from epydrop.service.parse import PUBLISHED, parse

PROJECTS = itertools.count(1)
RUN_ID = "20261122-110000-0123abcd"


@pytest.fixture(scope="module")
def emulator():
    with emulators.pubsub() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBSUB_EMULATOR_HOST", server.address)
        yield server


@pytest.fixture
def client(emulator):
    client = PublisherClient()
    yield client
    client.stop()


@pytest.fixture
def topics(client):
    names = {kind: f"projects/demo-{next(PROJECTS)}/topics/epydrop-{kind}" for kind in ("kicks", "runs")}
    for name in names.values():
        client.create_topic(name=name)
    return names


@pytest.fixture
def received(emulator, topics):
    """What arrived on a topic, as the messages of a subscription."""
    subscriber = SubscriberClient()
    subscriptions = {kind: name.replace("/topics/", "/subscriptions/") for kind, name in topics.items()}
    for kind, name in subscriptions.items():
        subscriber.create_subscription(name=name, topic=topics[kind])

    def pull(kind):
        answer = subscriber.pull(subscription=subscriptions[kind], max_messages=10, timeout=900)
        return [message.message for message in answer.received_messages]

    yield pull
    subscriber.close()


@pytest.mark.parametrize("kind", ["kicks", "runs"])
def test_a_message_arrives_on_its_topic(client, topics, received, kind):
    """As JSON, whatever is in it."""
    message = {"run_id": RUN_ID, "reason": "läuft", "missing": 0}

    PubSubPublisher(client, topics).publish(kind, message)

    assert [json.loads(one.data) for one in received(kind)] == [message]


def test_a_check_comes_back_as_what_was_meant(client, topics, received):
    """Through the same door as everything else."""
    PubSubPublisher(client, topics).publish("kicks", {"check": RUN_ID})

    (message,) = received("kicks")
    wrapped = {
        "data": base64.b64encode(message.data).decode(),
        "messageId": message.message_id,
        "publishTime": message.publish_time.isoformat(),
    }
    assert parse({"type": PUBLISHED, "data": {"message": wrapped}}) == CheckRequested(RUN_ID)


def test_a_message_is_on_its_way_when_publish_returns(client, topics, received):
    """The function may be frozen the moment after."""
    publisher = PubSubPublisher(client, topics)

    for number in range(5):
        publisher.publish("runs", {"number": number})

    assert {json.loads(one.data)["number"] for one in received("runs")} == set(range(5))


def test_a_topic_that_is_missing_is_named(client, topics):
    """Somebody deleted it."""
    gone = topics["runs"]
    client.delete_topic(topic=gone)

    with pytest.raises(ConfigurationError, match=gone):
        PubSubPublisher(client, topics).publish("runs", {})


def test_there_are_two_topics(client, topics):
    """Any other is a mistake of ours."""
    with pytest.raises(ValueError, match="'kicks' or 'runs'"):
        PubSubPublisher(client, topics).publish("news", {})


@pytest.mark.parametrize(
    ("error", "ours"),
    [(PermissionDenied("pubsub.topics.publish"), ConfigurationError), (ServiceUnavailable("down"), RetryableError)],
)
def test_errors_of_pubsub_are_ours(client, topics, monkeypatch, error, ours):
    """What somebody must fix, and what may pass."""

    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(client, "_gapic_publish", fail)

    with pytest.raises(ours, match="epydrop-kicks"):
        PubSubPublisher(client, topics).publish("kicks", {})
