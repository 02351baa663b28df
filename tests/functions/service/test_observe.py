"""Unreadable products: the run ends and names them, instead of being checked endlessly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.scene import Scene

from epydrop.core.causes import Cause
from epydrop.core.events import CancelRequested, JobChanged, RetryRequested
from epydrop.core.jobs import JobState
from epydrop.core.phases import Phase
from epydrop.formats import names
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage, parse_job_id
from epydrop.formats.serialization import to_json
from epydrop.formats.stage_records import Complete
from epydrop.stores import open_store


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def end_with(here: Scene, name: str, data: bytes, state: JobState = JobState.SUCCEEDED) -> None:
    """The job ends after leaving these bytes as its product."""
    job = here.job()
    here.jobs.finish(job, {} if state is JobState.SUCCEEDED else {0: 1})
    open_store(here.run().run_url).write(name, data)
    here.reconcile(JobChanged(parse_job_id(job.spec.job_id), state))


@pytest.mark.parametrize(
    ("manifest", "what"),
    [
        (b"{", "is not JSON"),
        (b"[]", "is no JSON object"),
        (b'{"format": 2}', "has format 2"),
        (b'{"format": 1, "run_id": "other", "tasks": 3, "locations": {}}', "belongs to run other"),
        (b'{"format": 1, "tasks": "many"}', "is not a Manifest"),
    ],
)
def test_a_manifest_that_cannot_be_read_fails_the_run(here: Scene, manifest: bytes, what: str) -> None:
    """The reason names the object and what is wrong with it."""
    here.reconcile(here.drop())

    end_with(here, "builder-artifacts/manifest.json", manifest)

    assert (here.run().phase, here.run().cause) == (Phase.FAILED, Cause.CODE)
    assert f"builder-artifacts/manifest.json {what}" in here.run().reason
    assert what in here.reply("md").decode()


def test_a_retry_from_the_builder_makes_the_manifest_anew(here: Scene) -> None:
    """In a folder of its own, as the reason promises."""
    here.reconcile(here.drop())
    end_with(here, "builder-artifacts/manifest.json", b"{")

    here.reconcile(RetryRequested(here.run().run_id, "kick-1", here.clock, from_stage=Stage.BUILDER))
    here.end_job()

    assert here.run().phase is Phase.RUNNER


def test_a_refusal_that_cannot_be_read_fails_the_run(here: Scene) -> None:
    """Which results were refused nobody can tell."""
    here.reconcile(here.drop())
    here.end_job()
    here.end_job()

    end_with(here, names.refused_name(1), b"{", JobState.FAILED)

    assert here.run().phase is Phase.FAILED
    assert "refused.json is not JSON" in here.run().reason


def test_a_mark_that_cannot_be_read_does_not_make_outputs_complete(here: Scene) -> None:
    """Whether the set is whole, and what its checks came to, nobody can tell."""
    here.reconcile(here.drop())
    here.end_job()
    here.end_job()

    end_with(here, names.complete_name(here.run().outputs), b"{")

    assert here.run().phase is Phase.FAILED
    assert "complete.json is not JSON" in here.run().reason


def test_the_verdict_of_the_checks_marks_the_run(here: Scene) -> None:
    """In the run, the reply and the notification: nobody forwards a forecast without the warning."""
    here.reconcile(here.drop())
    here.end_job()
    here.end_job()
    run = here.run()
    complete = Complete(run.run_id, 1, {}, quality="fail")

    end_with(here, names.complete_name(run.outputs), to_json(complete))

    assert (here.run().phase, here.run().quality) == (Phase.SUCCEEDED, "fail")
    assert "do not use these results as they are" in here.reply("md").decode()
    assert json.loads(here.reply())["quality"] == "fail"


def test_an_error_record_that_cannot_be_read_hides_no_other(here: Scene) -> None:
    """It is told as what it is."""
    here.reconcile(here.drop())
    here.end_job(tasks=4)
    job = here.job()
    here.jobs.finish(job, {0: 1, 2: 1, 3: 1})
    store = open_store(here.run().run_url)
    store.write(names.error_name(Stage.RUNNER, 1, 2, 0), b"{")

    here.reconcile(JobChanged(parse_job_id(job.spec.job_id), JobState.FAILED))

    reply = here.reply("md").decode()
    assert "2 x ValueError: bad (for example task 0)" in reply
    assert "1 x damaged error record: errors/runner/1/00002-0.json is not JSON" in reply


def test_a_read_that_lags_behind_does_not_compute_results_again(here: Scene) -> None:
    """Once the run has seen that its job ended, an older answer of the job service says nothing new."""
    here.reconcile(here.drop())
    here.end_job()
    here.reconcile(JobChanged(parse_job_id(here.job().spec.job_id), JobState.QUEUED))
    here.reconcile(CancelRequested(here.run().run_id, "kick-1", here.clock))
    open_store(here.run().run_url).write(names.result_name(here.run().results, 0), b"")
    cancelled = here.job()
    here.jobs.end_cancelled(cancelled)
    here.reconcile(JobChanged(parse_job_id(cancelled.spec.job_id), JobState.CANCELLED))
    cancelled.view = replace(cancelled.view, state=JobState.CANCELLATION_IN_PROGRESS)

    here.reconcile(RetryRequested(here.run().run_id, "kick-2", here.clock))

    assert here.run().current.orders.indices == IndexSet.of([1, 2])
