"""Commands of people: as files that are answered, and the start of an experiment that lies there already."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.scene import Scene

from epydrop.core.events import (
    CancelRequested,
    CheckRequested,
    Kick,
    KickDropped,
    OutputRequested,
    Refused,
    RetryRequested,
    StartRequested,
)
from epydrop.core.jobs import JobState
from epydrop.core.phases import Phase
from epydrop.core.run import Dropped
from epydrop.formats import names
from epydrop.formats.serialization import UnknownFormat
from epydrop.service.kick_files import MAX_BYTES
from epydrop_workstation.local.run_store import SqliteRunStore

EXPERIMENT = "experiments/flu.yaml"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def drop_kick(here: Scene, kick: object, name: str = "kicks/please.json") -> KickDropped:
    text = kick if isinstance(kick, bytes) else json.dumps(kick).encode()
    info = here.trigger.write(name, text)
    here.clock += timedelta(seconds=1)
    return KickDropped(Dropped("trigger", name, info.generation, here.clock), info.size)


def answer(here: Scene, kick: KickDropped, suffix: str = "json") -> bytes:
    return here.trigger.read(f"{names.file_answer(kick.dropped.name, kick.dropped.generation)}.{suffix}")


def start(here: Scene, kick_id: str = "kick-1", name: str = EXPERIMENT, bucket: str = "trigger") -> StartRequested:
    info = here.trigger.stat(name)
    return StartRequested(bucket, name, kick_id, info.created if info else here.clock)


def test_a_dropped_kick_does_what_it_says_and_is_answered(here: Scene) -> None:
    """In both forms, beside nothing that could be taken for an experiment."""
    here.reconcile(here.drop())
    run_id = here.run().run_id
    kick = drop_kick(here, {"cancel": run_id})

    here.reconcile(kick)

    assert here.run().phase is Phase.CANCELLED
    assert json.loads(answer(here, kick)) == {"refused": False, "run_id": run_id, "outcome": "cancelled by a kick"}
    assert answer(here, kick, "md").decode() == f"# Kick taken\n\nRun `{run_id}`: cancelled by a kick.\n"
    assert here.run().kicks == (f"trigger/kicks/please.json#{kick.dropped.generation}",)


def test_a_kick_that_is_replaced_before_it_is_read_is_left_to_the_newer_event(here: Scene) -> None:
    """A cancel that somebody thought better of must not be read under the older event's identity, or the reverse."""
    here.reconcile(here.drop())
    harmless = drop_kick(here, {"output": here.run().run_id})
    drop_kick(here, {"cancel": here.run().run_id})

    here.reconcile(harmless)

    assert here.run().phase is Phase.BUILDER


def test_a_kick_that_is_delivered_again_changes_neither_run_nor_answer(here: Scene) -> None:
    """Its identity is that generation of the object."""
    here.reconcile(here.drop())
    kick = drop_kick(here, {"cancel": here.run().run_id})
    here.reconcile(kick)
    before, said = here.run(), answer(here, kick)

    here.reconcile(kick)

    assert (here.run(), answer(here, kick)) == (before, said)


def test_a_kick_that_was_taken_up_and_not_answered_is_answered_by_what_became_of_the_run(here: Scene) -> None:
    """Whoever took it up died before the answer; that it changed nothing would be wrong."""
    here.reconcile(here.drop())
    kick = drop_kick(here, {"cancel": here.run().run_id})
    here.reconcile(kick)
    for suffix in ("json", "md"):
        here.trigger.delete(f"{names.file_answer(kick.dropped.name, kick.dropped.generation)}.{suffix}")

    here.reconcile(kick)

    assert answer(here, kick, "md").startswith(b"# Kick taken")
    assert "the run is cancelled: cancelled by a kick" in json.loads(answer(here, kick))["outcome"]


def test_a_kick_with_half_a_character_is_refused_in_words(here: Scene) -> None:
    """JSON can say what no text can hold."""
    kick = drop_kick(here, b'{"cancel": "latest", "\\ud800": 1}')

    here.reconcile(kick)

    assert "not JSON" in json.loads(answer(here, kick))["outcome"]


@pytest.mark.parametrize(
    ("kick", "reason"),
    [
        (b"cancel: it", "not JSON"),
        ({"cancel": "latest"}, "not a run id"),
        ({"cancel": "20261122-120000-0123abcd"}, "there is no run 20261122-120000-0123abcd"),
        ({"retry": "20261122-120000-0123abcd", "image": "latest"}, "expected 'sha256:'"),
        ({"start": "gs://trigger/experiments/gone.yaml"}, "there is no such object"),
        ({"start": "gs://elsewhere/experiments/flu.yaml"}, "only files in gs://trigger"),
        (b" " * (MAX_BYTES + 1), f"at most {MAX_BYTES}"),
    ],
)
def test_a_kick_that_is_wrong_is_answered_with_the_reason(here: Scene, kick: object, reason: str) -> None:
    """It must not vanish."""
    event = drop_kick(here, kick)

    here.reconcile(event)

    assert json.loads(answer(here, event))["refused"] is True
    assert reason in json.loads(answer(here, event))["outcome"]
    assert answer(here, event, "md").startswith(b"# Kick refused")


def test_a_kick_that_comes_too_late_is_told_so(here: Scene) -> None:
    """It is no mistake, and did nothing."""
    here.reconcile(here.drop(b"nonsense"))
    kick = drop_kick(here, {"cancel": here.run().run_id})

    here.reconcile(kick)

    assert answer(here, kick, "md").startswith(b"# Kick changed nothing")
    assert "unchanged, because the run has ended" in json.loads(answer(here, kick))["outcome"]


def test_a_kick_that_vanished_is_ignored(here: Scene) -> None:
    """Somebody thought better of it."""
    event = drop_kick(here, {"cancel": "20261122-120000-0123abcd"})
    here.trigger.delete(event.dropped.name)

    here.reconcile(event)

    assert list(here.trigger.list(names.REPLIES)) == []


def test_an_experiment_that_lies_there_can_be_started_again(here: Scene) -> None:
    """As a run of its own, which knows the kick that asked for it, and is answered like any other."""
    here.reconcile(here.drop())
    first = here.run().run_id

    here.reconcile(start(here))

    second = next(run for run in here.runs.newest(5) if run.run_id != first)
    assert (second.phase, second.dropped.kick_id) == (Phase.BUILDER, "kick-1")
    assert here.trigger.stat(names.reply_name(EXPERIMENT, second.run_id, "md"))
    assert len(here.jobs.jobs) == 2


def test_a_start_that_is_delivered_again_starts_one_run(here: Scene) -> None:
    """Also when the file was replaced between the two: its new content has started by itself."""
    here.drop()
    event = start(here)
    here.reconcile(event)
    here.trigger.write(EXPERIMENT, b"other")

    here.reconcile(event)

    assert len(list(here.runs.newest(5))) == 1


def test_a_file_may_ask_for_a_start(here: Scene) -> None:
    """The answer names the run."""
    here.drop()
    kick = drop_kick(here, {"start": f"gs://trigger/{EXPERIMENT}"})
    kick = replace(kick, dropped=replace(kick.dropped, created=start(here).published))

    here.reconcile(kick)

    assert json.loads(answer(here, kick))["run_id"] == here.run().run_id


def test_a_command_for_a_run_of_a_newer_version_is_delivered_again(here: Scene) -> None:
    """While a new version is rolled out, the next delivery may reach it."""
    here.reconcile(here.drop())
    kick = drop_kick(here, {"cancel": here.run().run_id})

    class Newer(SqliteRunStore):
        def load(self, run_id: str) -> None:
            raise UnknownFormat(f"run {run_id} has format 99")

    here.world = replace(here.world, runs=Newer(here.runs._database))

    with pytest.raises(UnknownFormat):
        here.reconcile(kick)


# -- the order of kicks --------------------------------------------------------------------------


def message_answer(here: Scene, kick_id: str) -> dict:
    return json.loads(here.trigger.read(f"{names.message_answer(kick_id)}.json"))


def failed_run(here: Scene) -> str:
    here.reconcile(here.drop())
    here.end_job()
    here.end_job({0: 1})
    assert here.run().phase is Phase.FAILED
    here.clock += timedelta(hours=1)
    return here.run().run_id


def finished_run(here: Scene) -> str:
    here.reconcile(here.drop())
    for _ in range(3):
        here.end_job()
    here.clock += timedelta(hours=1)
    return here.run().run_id


def retry(run_id: str, sent: datetime) -> RetryRequested:
    return RetryRequested(run_id, "the-retry", sent)


def output(run_id: str, sent: datetime) -> OutputRequested:
    return OutputRequested(run_id, "the-output", sent)


@pytest.mark.parametrize(("ended", "kick"), [(failed_run, retry), (finished_run, output)])
def test_a_cancel_sent_while_an_earlier_kick_was_on_its_way_ends_the_run(
    here: Scene, ended: Callable[[Scene], str], kick: Callable[[str, datetime], Kick]
) -> None:
    """A cold function takes up the kick 8 s after it was sent; the cancel was sent after 4 s."""
    run_id, sent = ended(here), here.clock
    here.clock += timedelta(seconds=8)
    here.reconcile(kick(run_id, sent))
    assert here.run().phase.is_open

    here.reconcile(CancelRequested(run_id, "the-cancel", sent + timedelta(seconds=4)))

    assert here.run().phase is Phase.CANCELLED
    assert here.job().view.state is JobState.CANCELLATION_IN_PROGRESS


def test_a_cancel_sent_while_a_retry_waits_for_the_old_job_calls_the_retry_off(here: Scene) -> None:
    """The retry begins when the old job has ended, long after both kicks were sent."""
    here.reconcile(here.drop())
    run_id, sent = here.run().run_id, here.clock
    here.reconcile(CancelRequested(run_id, "the-first-cancel", sent))
    here.clock += timedelta(seconds=8)
    here.reconcile(retry(run_id, sent))
    assert here.run().pending

    here.reconcile(CancelRequested(run_id, "the-cancel", sent + timedelta(seconds=4)))
    here.jobs.end_cancelled(here.job())
    here.reconcile(CheckRequested(run_id))

    assert (here.run().phase, here.run().pending) == (Phase.CANCELLED, None)


def test_a_retry_that_is_overtaken_by_a_later_cancel_is_answered_and_not_obeyed(here: Scene) -> None:
    """The cancel found nothing to end, and still is what the person said last."""
    run_id, sent = failed_run(here), here.clock
    here.reconcile(CancelRequested(run_id, "the-cancel", sent + timedelta(seconds=4)))

    here.reconcile(retry(run_id, sent))

    assert here.run().phase is Phase.FAILED
    assert message_answer(here, "the-cancel")["outcome"] == "unchanged, because the run has ended"
    assert "sent after this one, at" in message_answer(here, "the-retry")["outcome"]


def test_a_cancel_that_is_overtaken_by_a_later_retry_of_the_open_run_leaves_it_at_work(here: Scene) -> None:
    """Whoever cancels and then retries wants the run to go on."""
    here.reconcile(here.drop())
    run_id, sent = here.run().run_id, here.clock
    here.reconcile(retry(run_id, sent + timedelta(seconds=4)))

    here.reconcile(CancelRequested(run_id, "the-cancel", sent))

    assert here.run().phase is Phase.BUILDER
    assert "sent after this one" in message_answer(here, "the-cancel")["outcome"]


def test_an_output_request_that_found_the_run_at_work_stops_no_earlier_cancel(here: Scene) -> None:
    """It says nothing about whether the run should go on, and the bill would."""
    here.reconcile(here.drop())
    run_id, sent = here.run().run_id, here.clock
    here.reconcile(output(run_id, sent + timedelta(seconds=4)))

    here.reconcile(CancelRequested(run_id, "the-cancel", sent))

    assert here.run().phase is Phase.CANCELLED


def test_a_message_that_is_no_kick_is_answered_too(here: Scene) -> None:
    """Whoever publishes a message sees its id, and finds the answer under it."""
    here.reconcile(Refused("the kick is not JSON", "4711"))

    assert here.trigger.read("replies/kicks/message-4711.md").startswith(b"# Kick refused\n\nthe kick is not JSON")
