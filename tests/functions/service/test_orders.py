"""Orders: what an attempt does is what its run decided, whoever dies or loses a race on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from support.scene import EXPERIMENT, Scene

from epydrop.core.events import CancelRequested, CheckRequested, JobChanged, RetryRequested
from epydrop.core.phases import Phase
from epydrop.core.run import HistoryEntry, Run
from epydrop.formats import names
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage, parse_job_id
from epydrop.formats.serialization import to_json
from epydrop.service.reconcile import reconcile
from epydrop.stores import open_store
from epydrop.stores.folder import FileObjectStore
from epydrop_workstation.local.run_store import SqliteRunStore


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


class BeatenByCancel(SqliteRunStore):
    """A run store in which somebody cancels the run just before its next save."""

    def __init__(self, here: Scene) -> None:
        super().__init__(here._database)
        self.here = here
        self.world = here.world

    def save(self, run: Run, revision: str, entry: HistoryEntry) -> None:
        self.here.world = self.world
        reconcile(CancelRequested(run.run_id, "the-cancel", self.here.clock), self.world)
        super().save(run, revision, entry)


def end_job_beaten_by_cancel(here: Scene, codes: dict[int, int | None] | None = None) -> None:
    """The job ends; between the decision of its handler and the save, a cancel is saved."""
    here.world = replace(here.world, runs=BeatenByCancel(here))
    here.end_job(codes)
    assert here.run().phase is Phase.CANCELLED
    here.clock += timedelta(seconds=5)


def test_a_job_knows_the_digests_of_what_nobody_signs(here: Scene) -> None:
    """Whoever may write into the data bucket can replace these files, but not the variables of a job."""
    event = here.drop()
    dropped = replace(event.dropped, md5="Zm9v")
    here.reconcile(replace(event, dropped=dropped))
    store = open_store(here.run().run_url)

    variables = {
        "EPYDROP_ORDERS_SHA256": hashlib.sha256(store.read(names.orders_name(Stage.BUILDER, 1))).hexdigest(),
        "EPYDROP_EXPERIMENT_SHA256": hashlib.sha256(store.read(names.RESOLVED_EXPERIMENT)).hexdigest(),
        "EPYDROP_DROPPED_MD5": "Zm9v",
    }
    assert variables.items() <= here.job().spec.env.items()

    here.end_job()

    assert not here.job().spec.env.keys() & {"EPYDROP_EXPERIMENT_SHA256", "EPYDROP_DROPPED_MD5"}


def test_a_retry_from_the_builder_after_a_lost_save_publishes_its_own_results(here: Scene) -> None:
    """The call that lost to the cancel had decided on outputs from the first round."""
    here.reconcile(here.drop())
    here.end_job()
    end_job_beaten_by_cancel(here)

    here.reconcile(RetryRequested(here.run().run_id, "the-retry", here.clock, Stage.BUILDER))
    here.end_job()
    here.end_job()
    orders = here.jobs.orders(here.job().spec)
    here.end_job()

    assert (orders.stage, orders.inputs, orders.results) == (
        Stage.OUTPUT,
        "builder-artifacts-2/",
        "runner-artifacts-2/",
    )
    assert (here.run().phase, here.run().results) == (Phase.SUCCEEDED, "runner-artifacts-2/")


def test_a_retry_after_a_lost_save_leaves_out_no_result_that_came_meanwhile(here: Scene) -> None:
    """The call that lost to the cancel had decided on outputs without the failed task."""
    here.reconcile(here.drop(EXPERIMENT + b"run: {min_success: 0.5}\n"))
    here.end_job(tasks=4)
    end_job_beaten_by_cancel(here, {0: 1})

    here.reconcile(RetryRequested(here.run().run_id, "the-retry", here.clock))
    here.end_job()
    orders = here.jobs.orders(here.job().spec)
    here.end_job()

    assert (orders.stage, orders.missing, here.run().missing) == (Stage.OUTPUT, IndexSet(), IndexSet())
    assert here.run().phase is Phase.SUCCEEDED


class Full(Exception):
    """Raised in place of a write."""


class FullStore(FileObjectStore):
    """A folder on a disk without space."""

    def write(self, name: str, *_: object, **__: object) -> None:
        raise Full(name)


def test_orders_that_could_not_be_written_are_written_by_the_next_check(here: Scene) -> None:
    """The run is saved first; no job is created without its orders."""
    here.reconcile(here.drop())
    job = here.job()
    here.jobs.finish(job, {})
    whole = here.world
    here.world = replace(whole, open_store=lambda url: FullStore(Path(unquote(urlsplit(url).path))))

    with pytest.raises(Full, match=r"orders/runner-1\.json"):
        here.reconcile(JobChanged(parse_job_id(job.spec.job_id), job.view.state))
    assert here.run().current.job_id not in here.jobs.jobs

    here.world = whole
    here.reconcile(CheckRequested(here.run().run_id))

    assert here.jobs.orders(here.job().spec) == here.run().current.orders


@pytest.mark.parametrize("left", ["other", "unreadable"])
def test_orders_of_a_run_whose_document_was_lost_are_not_obeyed(here: Scene, left: str) -> None:
    """Nobody knows which job obeyed them: the run fails and says so, and a retry takes the next number."""
    here.reconcile(here.drop())
    run = here.run()
    other = to_json(replace(run.current.orders, stage=Stage.RUNNER, parallelism=7))
    text = other if left == "other" else b'{"format": 99}'
    open_store(run.run_url).write(names.orders_name(Stage.RUNNER, 1), text)

    here.end_job()

    assert here.run().phase is Phase.FAILED
    assert "orders/runner-1.json holds other orders" in here.reply("md").decode()
    here.clock += timedelta(minutes=20)
    here.reconcile(RetryRequested(run.run_id, "the-retry", here.clock))
    assert here.jobs.orders(here.job().spec) == here.run().current.orders
    assert here.job().spec.job_id == names.job_id(Stage.RUNNER, run.run_id, 2)
