"""The schedule's work: checks for what is not done, and files whose event got lost."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.scene import Scene

from epydrop.core.events import CheckRequested, FileDropped, SweepRequested
from epydrop.core.phases import Phase
from epydrop.formats.serialization import UnknownFormat
from epydrop.service.parse import PUBLISHED, parse
from epydrop_workstation.local.run_store import SqliteRunStore

LATER = timedelta(minutes=30)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def look(here: Scene, after: timedelta = LATER) -> list[object]:
    """What the sweep of a full hour asks for, so long after the newest file was dropped; as events."""
    newest = max(info.created for info in here.trigger.list())
    here.clock = newest + after
    here.messages.sent.clear()
    here.reconcile(SweepRequested(datetime.fromisoformat("2026-11-22T13:02:00+00:00")))
    return [parse(_envelope(message)) for topic, message in here.messages.sent if topic == "kicks"]


def _envelope(message: dict) -> dict:
    data = base64.b64encode(json.dumps(message).encode()).decode()
    wrapped = {"data": data, "messageId": "8001", "publishTime": "2026-11-22T13:02:01Z"}
    return {"type": PUBLISHED, "data": {"message": wrapped}}


def test_a_file_whose_event_was_lost_is_found_and_started(here: Scene) -> None:
    """As the run that its own event would have started; the event may still come."""
    lost = here.drop()

    (found,) = look(here)
    here.reconcile(found)

    assert isinstance(found, FileDropped)
    assert (found.dropped.name, found.dropped.generation) == (lost.dropped.name, lost.dropped.generation)
    assert here.run().phase is Phase.BUILDER
    assert [event for event in look(here) if isinstance(event, FileDropped)] == []


@pytest.mark.parametrize("after", [timedelta(minutes=9), timedelta(hours=49)])
def test_a_file_that_is_very_young_or_old_is_left_alone(here: Scene, after: timedelta) -> None:
    """The event of the one may still come; the other lies there for a reason."""
    here.drop()

    assert look(here, after) == []


def test_a_file_from_before_the_deployment_is_left_alone(here: Scene) -> None:
    """Nobody expects an old file to start because software was installed."""
    here.drop()
    (info,) = here.trigger.list()
    settings = replace(here.world.settings, accept_from=info.created + timedelta(minutes=1))
    here.world = replace(here.world, settings=settings)

    assert look(here) == []


@pytest.mark.parametrize("name", ["experiments/notes.txt", "replies/flu.yaml.x.json", "kicks/stop.json", "flu.yaml"])
def test_other_files_are_left_alone(here: Scene, name: str) -> None:
    """Only what could be an experiment is started."""
    here.drop(name=name)

    assert look(here) == []


def test_an_empty_file_is_left_alone(here: Scene) -> None:
    """As its own event would be."""
    here.drop(b"")

    assert look(here) == []


@pytest.mark.parametrize("published", ["2026-11-22T13:05:00+00:00", "2026-11-22T13:59:59+00:00"])
def test_only_one_sweep_of_an_hour_looks_for_files(here: Scene, published: str) -> None:
    """A listing costs money."""
    here.drop()
    here.clock = next(here.trigger.list()).created + LATER

    here.reconcile(SweepRequested(datetime.fromisoformat(published)))

    assert here.messages.sent == []


class Newer(SqliteRunStore):
    """A store whose documents were written by a version that this one does not know."""

    def load(self, run_id: str) -> None:
        raise UnknownFormat(f"run {run_id} has format 99, this version of epydrop reads format 1")


def test_a_run_of_a_newer_version_is_checked_and_left_alone(here: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """A check that raised would be delivered for a day, beside the next ones; the log says why nothing happens."""
    here.reconcile(here.drop())
    run_id = here.run().run_id
    here.world = replace(here.world, runs=Newer(here.runs._database))

    assert look(here) == [CheckRequested(run_id)]
    here.reconcile(CheckRequested(run_id))

    assert f"left alone: run {run_id} has format 99" in caplog.text


def test_the_sweep_holds_no_list(here: Scene) -> None:
    """Runs are asked for one after the other, while the messages go out."""
    order = []

    class Endless(SqliteRunStore):
        def unfinished(self) -> Iterator[str]:
            for number in range(3):
                order.append(f"read {number}")
                yield f"run-{number}"

    class Listening:
        def publish(self, topic: str, message: dict) -> None:
            order.append(f"sent {message['check']}")

    here.world = replace(here.world, runs=Endless(here.runs._database), publisher=Listening())

    here.reconcile(SweepRequested())

    assert order == ["read 0", "sent run-0", "read 1", "sent run-1", "read 2", "sent run-2"]
