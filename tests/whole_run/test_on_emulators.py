"""Whole runs over HTTP: Google's emulators and clients, the functions as they are deployed, the emulator of Batch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.cloud_twin import MORTAL_FUNCTIONS, deployed, emulated, until
from support.one_machine import SWEEP, slow

from epydrop.core.phases import Phase
from epydrop.formats import names
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage
from epydrop.gcp.batch_client import batch_client

MANY = """
exp_id: many
seed: 7
model:
  model: {type: SIR}
  population: {size: 1000}
  parameters: {transmission_rate: 0.4, recovery_rate: 0.2}
  simulation: {start_date: 2026-01-01, end_date: 2026-01-08, n_simulations: 1}
  initial_conditions: {Susceptible: 990, Infected: 10, Recovered: 0}
tasks: {chains: 40}
outputs: {trajectories: false, formats: [parquet]}
"""


@pytest.fixture(scope="module")
def around():
    with emulated() as found:
        yield found


@pytest.fixture(scope="module")
def here(around, tmp_path_factory):
    """One deployment for all tests that neither disturb it nor need it empty: starting one takes longer than a run."""
    with deployed(tmp_path_factory.mktemp("deployment"), around) as deployment:
        yield deployment


def job_ids(here, run_id: str) -> list[str]:
    """The jobs of a run, sorted."""
    client = batch_client(here.batch.rest_url)
    jobs = client.list_jobs(parent=f"projects/{here.project}/locations/us-east1")
    return sorted(job_id for job in jobs if run_id in (job_id := job.name.rpartition("/")[2]))


def run_ids(here) -> set[str]:
    """All runs of the deployment."""
    return {run.run_id for run in here.runs.newest(100)}


def assert_is_whole(here, run, tasks=4):
    """The run ended well: all results are there, the outputs too, and each stage had one job."""
    assert run.phase is Phase.SUCCEEDED, run.reason
    assert (run.missing, run.tasks) == (IndexSet(), tasks)
    folder = run.run_url.removeprefix(f"gs://{here.project}-data/") + run.published
    found = here.storage.list_blobs(f"{here.project}-data", prefix=folder)
    files = {blob.name.removeprefix(folder) for blob in found}
    assert {"report.html", "complete.json"} <= files
    assert job_ids(here, run.run_id) == sorted(names.job_id(stage, run.run_id, 1) for stage in Stage)
    assert "finished" in here.reply(run)


def test_an_experiment_goes_from_file_to_report(here):
    """Dropped, accepted, computed, published, answered beside the file; and nothing had to be delivered twice."""
    delivered_before = len(here.postman.delivered)
    run_id = here.drop(SWEEP, "experiments/sweep.yaml")
    accepted = until(lambda: here.read(f"replies/sweep.yaml.{run_id}.md"), here.log).decode()

    run = here.settled(run_id)

    assert "# sweep: accepted" in accepted
    assert "About 4 tasks" in accepted
    assert_is_whole(here, run)
    assert f"/{run.published}report.html" in here.reply(run)
    assert json.loads(here.reply(run, "json"))["phase"] == "succeeded"
    assert {status for _, status in here.postman.delivered[delivered_before:]} == {200}


def test_a_file_that_is_wrong_is_answered_and_costs_nothing(here):
    """Every problem with its line, and no job; the reply itself starts nothing."""
    before = run_ids(here)
    run_id = here.drop(SWEEP.replace("tasks:", "taks:"), "experiments/deep/sweep.yaml")

    run = here.settled(run_id)

    assert run.phase is Phase.REJECTED
    assert "sweep.yaml:10:1: 'taks' is not a key of an experiment (did you mean 'tasks'?)" in here.reply(run)
    assert job_ids(here, run_id) == []
    assert run_ids(here) - before == {run_id}


def test_people_cancel_and_retry_by_message_and_by_file(here):
    """A kick by Pub/Sub ends the run, a dropped file lets it go on, and is answered."""
    run_id = here.drop(slow(simulations=200), "experiments/slow.yaml")
    until(lambda: (run := here.run(run_id)) and run.phase is Phase.RUNNER and run.current.uid, here.log)

    here.kick({"cancel": run_id})
    cancelled = here.settled(run_id)
    here.drop(json.dumps({"retry": run_id}), "kicks/go-on.json")
    until(lambda: here.run(run_id).phase is not Phase.CANCELLED, here.log)
    run = here.settled(run_id)

    assert (cancelled.phase, cancelled.reason) == (Phase.CANCELLED, "cancelled by a kick")
    assert run.phase is Phase.SUCCEEDED, run.reason
    answers = list(here.storage.list_blobs(here.trigger, prefix="replies/kicks/go-on.json"))
    assert {blob.name.rpartition(".")[2] for blob in answers} == {"json", "md"}
    assert all(b"retried: the runner goes on" in blob.download_as_bytes() for blob in answers)


def test_an_experiment_can_be_started_again(here):
    """As a run of its own."""
    first = here.settled(here.drop(SWEEP, "experiments/again.yaml"))
    before = run_ids(here)

    here.kick({"start": f"gs://{here.trigger}/experiments/again.yaml"})
    (run_id,) = until(lambda: run_ids(here) - before, here.log)
    second = here.settled(run_id)

    assert_is_whole(here, second)
    assert second.dropped.generation == first.dropped.generation


def test_without_any_notification_the_sweep_alone_brings_a_run_home(around, tmp_path):
    """Batch sends nothing; the schedule asks."""
    with deployed(tmp_path, around, faults={"drop": "100"}) as here:
        run_id = here.drop(SWEEP, "experiments/sweep.yaml")

        run = here.settled(run_id, again=lambda: here.kick({"sweep": True}))

        assert_is_whole(here, run)
        assert not [kind for kind, _ in here.postman.delivered if kind == "jobs"]


def test_everything_twice_and_in_any_order_gives_each_job_once(around, tmp_path):
    """Drops, notifications and kicks alike: a kick that starts a run starts one, however often it comes."""
    with deployed(tmp_path, around, copies=2, faults={"repeat": "50", "delay": "1s"}) as here:
        first = here.drop(SWEEP, "experiments/sweep.yaml")
        until(lambda: here.run(first), here.log)
        here.kick({"start": f"gs://{here.trigger}/experiments/sweep.yaml"})
        until(lambda: len(list(here.runs.newest(5))) > 1, here.log)

        run_ids = [run.run_id for run in here.runs.newest(10)]
        runs = [here.settled(run_id, again=lambda: here.kick({"sweep": True})) for run_id in run_ids]

        for run in runs:
            assert_is_whole(here, run)
        assert len(list(here.runs.newest(10))) == 2


def test_functions_that_die_between_any_two_writes_lose_nothing(around, tmp_path):
    """The first process dies at its first write, the next at its second, and so on; what raises comes again."""
    deaths = tmp_path / "deaths"
    with deployed(tmp_path, around, source=MORTAL_FUNCTIONS, variables={"EPYDROP_MORTAL": str(deaths)}) as here:
        run_id = here.drop(SWEEP, "experiments/sweep.yaml")

        run = here.settled(run_id, again=lambda: here.kick({"check": run_id}))

        assert_is_whole(here, run)
        assert deaths.stat().st_size > 3
        entries = [entry.serial for entry in here.runs.history(run_id)]
        assert entries == list(range(1, len(entries) + 1))


def test_runs_at_once_do_not_meet(here):
    """Each ends with its own results."""
    numbers = range(4)
    with ThreadPoolExecutor(len(numbers)) as pool:
        texts = [SWEEP.replace("exp_id: sweep", f"exp_id: sweep-{number}") for number in numbers]
        named = [f"experiments/sweep-{number}.yaml" for number in numbers]
        dropped = list(pool.map(here.drop, texts, named))

    runs = [here.settled(run_id) for run_id in dropped]

    for run in runs:
        assert_is_whole(here, run)
    assert {run.exp_id for run in runs} == {f"sweep-{number}" for number in numbers}


def test_many_tasks_come_through(here):
    """With no more events than a small run has. The benchmark of whole runs takes thousands of tasks."""
    before = len(here.postman.delivered)

    run = here.settled(here.drop(MANY, "experiments/many.yaml"))

    assert_is_whole(here, run, tasks=40)
    assert Counter(kind for kind, _ in here.postman.delivered[before:])["jobs"] < 20


@pytest.fixture
def gcloud(around, here, tmp_path):
    """Google's command, pointed at the emulators."""
    program = shutil.which("gcloud") or pytest.skip("gcloud is not installed")
    environment = {
        **os.environ,
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "CLOUDSDK_CORE_PROJECT": here.project,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{around.storage.url}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"http://{around.pubsub.address}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_BATCH": f"{here.batch.rest_url}/",
    }

    def call(*words):
        done = subprocess.run([program, *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def test_people_work_with_gcloud_alone(here, gcloud, tmp_path):
    """Drop a file, look at a job, cancel, read the answer: the commands of the README."""
    file = tmp_path / "by-hand.yaml"
    file.write_text(slow(simulations=3000))
    before = run_ids(here)

    gcloud("storage", "cp", str(file), f"gs://{here.trigger}/experiments/")
    (run_id,) = until(lambda: run_ids(here) - before, here.log)
    job = until(lambda: (run := here.run(run_id)) and run.phase is Phase.RUNNER and run.current.uid and run, here.log)
    shown = json.loads(gcloud("batch", "jobs", "describe", job.current.job_id, "--location=us-east1", "--format=json"))
    gcloud("pubsub", "topics", "publish", "epydrop-kicks", f"--message={json.dumps({'cancel': run_id})}")
    run = here.settled(run_id)
    reply = gcloud("storage", "cat", f"gs://{here.trigger}/{names.reply_name(run.dropped.name, run_id, 'md')}")

    assert shown["labels"]["run_id"] == run_id
    assert shown["taskGroups"][0]["taskCount"] == "4"
    assert run.phase is Phase.CANCELLED
    assert "cancelled by a kick" in reply
    assert "gcloud pubsub topics publish epydrop-kicks" in reply
