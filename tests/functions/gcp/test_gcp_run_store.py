"""The run store on Firestore keeps the contract on Google's emulator, and its documents read well, fit and expire."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from contracts.run_store import DocumentStoreContract
from google.api_core.exceptions import FailedPrecondition, PermissionDenied, ServiceUnavailable
from google.api_core.exceptions import NotFound as GoogleNotFound
from google.cloud import firestore
from support import emulators, factories
from support.sample_runs import a_run, an_entry

import epydrop.gcp
from epydrop.core.causes import Cause
from epydrop.core.jobs import JobState, TaskCounts
from epydrop.core.phases import Phase
from epydrop.errors import ConfigurationError, EpydropError, RetryableError
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage
from epydrop.gcp import run_document
from epydrop.gcp.run_store import FirestoreRunStore

PROJECTS = itertools.count(1)
SETTLED = {"phase": Phase.SUCCEEDED, "unsettled": False}


@pytest.fixture(scope="module")
def emulator():
    with emulators.firestore() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", server.address)
        yield server


@pytest.fixture
def client(emulator):
    client = firestore.Client(project=f"demo-{next(PROJECTS)}", database="epydrop")
    yield client
    client.close()


@pytest.fixture
def store(client):
    return FirestoreRunStore(client)


class TestFirestoreRunStore(DocumentStoreContract):
    """The contract, with the plain library behind the store's back."""

    @pytest.fixture(autouse=True)
    def _raw(self, client):
        self._client = client

    def raw_read(self, run_id):
        return self._client.document(f"runs/{run_id}").get().to_dict()

    def raw_write(self, run_id, document):
        self._client.document(f"runs/{run_id}").set(document)


def document(client, run):
    return client.document(f"runs/{run.run_id}").get().to_dict()


def history(client, run):
    return [entry.to_dict() for entry in client.collection(f"runs/{run.run_id}/history").order_by("__name__").stream()]


def test_the_document_says_in_short_what_a_person_wants_to_know(store, client):
    """In the console, where one sees field after field."""
    attempt = factories.seen(factories.an_attempt(Stage.RUNNER, 2, causes={Cause.PREEMPTED: IndexSet.of([3])}))
    attempt = replace(attempt, state=JobState.RUNNING, counts=TaskCounts(pending=1, running=1, succeeded=1, failed=1))
    run = factories.a_run(Phase.RUNNER, attempt, failures=(factories.a_failure(),))

    store.create(run, an_entry())

    shown = document(client, run)
    assert (shown["phase"], shown["exp_id"], shown["reason"], shown["tasks"]) == ("runner", "flu", "as before", 4)
    assert shown["progress"] == "runner 2: 1 of 4 done, 1 failed, 1 running"
    assert shown["dropped"] == "gs://trigger/experiments/flu.yaml#1"
    assert shown["attempts"][0]["job"] == attempt.job_id
    assert shown["attempts"][0]["causes"] == "1 preempted"
    assert shown["failures"] == ["25 x ValueError: no beds (for example task 3)"]
    assert (shown["created"], shown["updated"]) == (run.created, run.updated)


def test_what_was_published_can_be_found(store, client):
    """By its address; nothing stands there before."""
    run = factories.a_run(Phase.SUCCEEDED, run_url="gs://data/flu/", published="outputs/20261122-113000/")

    store.create(run, an_entry())

    assert document(client, run)["outputs"] == "gs://data/flu/outputs/20261122-113000/"
    assert document(client, run)["progress"] == "4 of 4 results"


def test_the_history_reads_well_too(store, client):
    """What happened, which row, and why."""
    store.create(a_run(), an_entry())

    (entry,) = history(client, a_run())
    assert (entry["event"], entry["row"], entry["reason"]) == ("FileDropped", "dropped", "the file was dropped")


def test_only_settled_runs_expire_and_their_history_after_them(store, client):
    """A run in trouble stays until somebody has looked."""
    store.create(a_run(), an_entry())
    assert "expires_at" not in document(client, a_run())
    failed = replace(a_run(), phase=Phase.FAILED)
    store.save(failed, store.load(failed.run_id).revision, an_entry(1))
    assert "expires_at" not in document(client, a_run())
    assert not any("expires_at" in entry for entry in history(client, a_run()))

    store.save(replace(failed, unsettled=False), store.load(failed.run_id).revision, an_entry(2))

    gone = document(client, a_run())["expires_at"]
    assert gone - a_run().updated >= timedelta(days=30)
    assert len(history(client, a_run())) == 3
    assert all(entry["expires_at"] > gone for entry in history(client, a_run()))


def test_a_run_that_is_taken_up_again_expires_no_more(store, client):
    """Nor does what is known of it."""
    run = a_run(**SETTLED)
    store.create(run, an_entry())
    assert all("expires_at" in each for each in [document(client, run), *history(client, run)])

    store.save(replace(run, phase=Phase.RUNNER, unsettled=True), store.load(run.run_id).revision, an_entry(1))

    assert not any("expires_at" in each for each in [document(client, run), *history(client, run)])


def test_a_long_history_expires_as_a_whole(store, client):
    """Page by page."""
    store.create(a_run(), an_entry())
    for serial in range(1, 450):
        store._entry(a_run().run_id, serial).set(run_document.entry_fields(an_entry(serial), a_run().run_id))

    store.save(a_run(**SETTLED), store.load(a_run().run_id).revision, an_entry(450))

    assert sum("expires_at" in entry for entry in history(client, a_run())) == 451


def scattered(rounds):
    """A run of 100,000 tasks of which half fail at random by three causes, and most of those again, and again."""
    chance = random.Random(1)
    missing, attempts = IndexSet.below(100_000), []
    for number in range(1, rounds + 1):
        failed = [index for index in missing if chance.random() < (0.5 if number == 1 else 0.85)]
        causes = {cause: [] for cause in (Cause.PREEMPTED, Cause.VM_LOST, Cause.UNAVAILABLE)}
        for index in failed:
            causes[chance.choice(list(causes))].append(index)
        causes = {cause: IndexSet.of(indices) for cause, indices in causes.items()}
        attempts.append(factories.seen(factories.an_attempt(Stage.RUNNER, number, indices=missing, causes=causes)))
        missing = IndexSet.of(failed)
    return factories.a_run(Phase.RUNNER, *attempts, tasks=100_000, missing=missing)


def test_a_hundred_thousand_tasks_that_fail_here_and_there_fit(store, client):
    """Also when they fail once more than a run tries by itself."""
    run = scattered(4)

    store.create(run, an_entry())

    assert store.load(run.run_id).run == run
    assert len(document(client, run)["record"]) < 500_000


def test_what_can_never_fit_is_said_before_firestore_says_it(store, monkeypatch):
    """By name, and with what to do."""
    monkeypatch.setattr(run_document, "MAX_RECORD", 60_000)
    noise = random.Random(1).randbytes(60_000).hex()

    with pytest.raises(EpydropError, match=f"run {a_run().run_id} takes .* bytes"):
        store.create(a_run(reason=noise), an_entry())


def test_configurations_that_firestore_could_not_hold_come_through(store):
    """Lists in lists, empty keys and reserved ones: what a person sends with a kick is not ours to choose."""
    odd = {"": [[1, [2]], []], "__name__": {"a.b": None}}
    run = a_run(output_config=odd)

    store.create(run, an_entry(event={"kind": "OutputRequested", "config": odd}))

    assert store.load(run.run_id).run == run
    assert next(store.history(run.run_id)).event["config"] == odd


def test_a_record_that_is_no_record_is_refused_by_name(store, client):
    """Somebody wrote into the document."""
    store.create(a_run(), an_entry())
    for record in ("{", b"zzz", None, 7):
        client.document(f"runs/{a_run().run_id}").update({"record": record})

        with pytest.raises(EpydropError, match=f"run {a_run().run_id}"):
            store.load(a_run().run_id)


@pytest.mark.parametrize(
    ("error", "ours"),
    [(PermissionDenied("datastore.entities.create"), ConfigurationError), (ServiceUnavailable("down"), RetryableError)],
)
def test_errors_of_firestore_are_ours(store, client, monkeypatch, error, ours):
    """What somebody must fix, and what may pass."""

    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(client._firestore_api, "commit", fail)

    with pytest.raises(ours, match=f"run {a_run().run_id}"):
        store.create(a_run(), an_entry())


@pytest.mark.parametrize(
    "error", [GoogleNotFound("no such database"), FailedPrecondition("The query requires an index")]
)
def test_a_database_or_index_that_is_missing_is_said(store, client, monkeypatch, error):
    """Nobody should look for a run that changed."""

    def fail(*_args, **_kwargs):
        raise error

    for call in ("batch_get_documents", "run_query"):
        monkeypatch.setattr(client._firestore_api, call, fail)

    for attempt in (
        lambda: store.load(a_run().run_id),
        lambda: list(store.unfinished()),
        lambda: list(store.newest(1)),
    ):
        with pytest.raises(ConfigurationError, match="terraform makes"):
            attempt()


def test_a_create_whose_answer_was_lost_is_no_conflict(store, client, monkeypatch):
    """The library sends it again by itself, and is told that the run exists."""
    api = client._firestore_api
    commit = api.commit

    def lose_the_answer(*args, **kwargs):
        commit(*args, **kwargs)
        return commit(*args, **kwargs)

    monkeypatch.setattr(api, "commit", lose_the_answer)

    store.create(a_run(), an_entry())

    assert store.load(a_run().run_id).run == a_run()


def test_everything_that_expires_or_needs_no_index_is_told_to_terraform():
    """The file that terraform reads names the fields that the documents have."""
    told = json.loads((Path(epydrop.gcp.__file__).parent / "indexes.json").read_text())

    fields = {
        run_document.RUNS: run_document.run_fields(a_run(**SETTLED), an_entry()),
        run_document.HISTORY: {**run_document.entry_fields(an_entry(), "r"), "expires_at": None},
    }
    for override in told["fieldOverrides"]:
        assert override["fieldPath"] in fields[override["collectionGroup"]]
    expiring = {one["collectionGroup"] for one in told["fieldOverrides"] if one.get("ttl")}
    assert expiring == {"runs", "history"}
    queried = {"unfinished", "created"}
    assert queried.isdisjoint(one["fieldPath"] for one in told["fieldOverrides"])
    assert told["indexes"] == []
