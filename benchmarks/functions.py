"""The deployed functions: import time of a cold start, and time per event for runs of 100 to 100,000 tasks.

Firestore, Cloud Storage and Pub/Sub are emulators on this machine, and Batch is a stub that answers at once: the
figures are those of our code and of the emulators, without Google's network.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from google.cloud.firestore import Client as FirestoreClient  # noqa: E402 - after the path
from google.cloud.pubsub_v1 import PublisherClient  # noqa: E402
from support import emulators  # noqa: E402
from support.cloud_settings import CLOUD  # noqa: E402

from epydrop.core.events import CheckRequested, FileDropped, JobChanged  # noqa: E402
from epydrop.core.jobs import JobSpec, JobState, JobView, TaskCounts, TaskEnd  # noqa: E402
from epydrop.core.run import Dropped, Run  # noqa: E402
from epydrop.formats import names  # noqa: E402
from epydrop.formats.serialization import to_json  # noqa: E402
from epydrop.formats.stage_records import Manifest  # noqa: E402
from epydrop.gcp.publisher import PubSubPublisher  # noqa: E402
from epydrop.gcp.run_store import FirestoreRunStore  # noqa: E402
from epydrop.service.reconcile import reconcile  # noqa: E402
from epydrop.service.world import World  # noqa: E402
from epydrop.settings import read_cloud_settings  # noqa: E402
from epydrop.stores import open_store  # noqa: E402
from epydrop.stores.cloud_storage import GcsObjectStore, storage_client  # noqa: E402

ROUNDS = 5
SIZES = (100, 10_000, 100_000)
BARE = (
    "import functions_framework, flask, cloudevents.http, "
    "google.cloud.batch_v1, google.cloud.firestore, google.cloud.pubsub_v1, google.cloud.storage"
)
EXPERIMENT = b"model: {model: {type: SIR}}\ntasks: {populations: [here]}\n"


class InstantJobs:
    """The JobService port; jobs run nothing, and are in the state that ``set`` gives them."""

    def __init__(self) -> None:
        self.views: dict[str, JobView] = {}

    def submit(self, spec: JobSpec) -> JobView:
        """A queued job."""
        now, waiting = datetime.now(UTC), TaskCounts(pending=spec.task_count)
        view = JobView(spec.job_id, f"uid-{spec.job_id}", JobState.QUEUED, now, waiting, spec.labels)
        return self.views.setdefault(spec.job_id, view)

    def get(self, job_id: str) -> JobView | None:
        """The job as last set."""
        return self.views.get(job_id)

    def cancel(self, job_id: str) -> None:
        """Does nothing."""

    def failed_tasks(self, job_id: str) -> Iterator[TaskEnd]:  # noqa: ARG002 - no task fails
        """None."""
        return iter(())

    def set(self, job_id: str, state: JobState, **counts: int) -> None:
        """Changes the job's state and task counts."""
        self.views[job_id] = replace(self.views[job_id], state=state, counts=TaskCounts(**counts))


def seconds(call: Callable[[], object]) -> float:
    """Wall time of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def import_seconds(code: str) -> float:
    """Median wall time of a new Python process that runs this code, minus that of one that runs nothing."""

    def run(text: str) -> None:
        subprocess.run([sys.executable, "-c", text], cwd=ROOT / "functions", check=True)

    run(code)  # once, so that all modules are compiled and in the page cache
    return statistics.median(seconds(lambda: run(code)) - seconds(lambda: run("pass")) for _ in range(ROUNDS))


@contextmanager
def emulated() -> Iterator[tuple[World, InstantJobs]]:
    """A world of the real adapters, connected to emulators."""
    settings = read_cloud_settings({**CLOUD, "EPYDROP_DATA_URL": "gs://data/", "EPYDROP_TRIGGER_BUCKET": "drops"})
    with ExitStack() as stack:
        firestore, pubsub = stack.enter_context(emulators.firestore()), stack.enter_context(emulators.pubsub())
        storage = stack.enter_context(emulators.cloud_storage())
        hosts = {
            "FIRESTORE_EMULATOR_HOST": firestore.address,
            "PUBSUB_EMULATOR_HOST": pubsub.address,
            "STORAGE_EMULATOR_HOST": storage.url,
        }
        stack.enter_context(mock.patch.dict(os.environ, hosts))
        for bucket in ("data", "drops"):
            storage_client().create_bucket(bucket)
        publisher = PublisherClient()
        for topic in (settings.kick_topic, settings.runs_topic):
            publisher.create_topic(name=topic)
        jobs = InstantJobs()
        world = World(
            settings,
            FirestoreRunStore(FirestoreClient(project="demo-bench")),
            GcsObjectStore(storage_client(), "drops"),
            jobs,
            PubSubPublisher(publisher, {"kicks": settings.kick_topic, "runs": settings.runs_topic}),
            open_store,
            lambda: datetime.now(UTC),
            time.sleep,
        )
        yield world, jobs


def one_run(world: World, jobs: InstantJobs, tasks: int, number: int) -> dict[str, float]:
    """Seconds for each event of a run whose ``tasks`` tasks all succeed."""
    info = world.trigger.write(f"experiments/bench-{tasks}-{number}.yaml", EXPERIMENT)
    dropped = FileDropped(Dropped("drops", info.name, info.generation, info.created), info.size)
    run_id = dropped.dropped.run_id
    took = {"a file is dropped": seconds(lambda: reconcile(dropped, world))}

    def run() -> Run:
        stored = world.runs.load(run_id)
        if stored is None:
            raise RuntimeError(f"run {run_id} is missing")
        return stored.run

    def ended(**counts: int) -> float:
        job = run().attempts[-1].job_id
        jobs.set(job, JobState.SUCCEEDED, **counts)
        name = names.parse_job_id(job)
        if name is None:
            raise RuntimeError(f"{job} is not one of our job ids")
        return seconds(lambda: reconcile(JobChanged(name, JobState.SUCCEEDED), world))

    folder = open_store(run().run_url)
    folder.write(names.manifest_name(run().inputs), to_json(Manifest(run_id, tasks, {"here": (0, tasks)})))
    took["the builder ended"] = ended(succeeded=1)
    jobs.set(run().attempts[-1].job_id, JobState.RUNNING, running=100, pending=tasks - 100)
    took["a check of the runner"] = seconds(lambda: reconcile(CheckRequested(run_id), world))
    took["the runner ended"] = ended(succeeded=tasks)
    folder.write(names.complete_name(run().outputs), b"{}")
    took["the output ended"] = ended(succeeded=1)
    return took


def main() -> None:
    """Prints both tables."""
    bare, whole = import_seconds(BARE), import_seconds("import main")
    print(f"import of functions/main.py, median of {ROUNDS}")
    print(f"  the bare client libraries{bare:>8.2f} s")
    print(f"  main.py, which needs them{whole:>8.2f} s{whole / bare:>8.2f}")
    with emulated() as (world, jobs):
        one_run(world, jobs, 100, 0)  # not timed: the first calls open connections
        print(f"\none warm event on the emulators, median of {ROUNDS}, in ms")
        print(f"  {'tasks':<24}" + "".join(f"{size:>10}" for size in SIZES))
        runs = {size: [one_run(world, jobs, size, number) for number in range(1, ROUNDS + 1)] for size in SIZES}
        for event in runs[SIZES[0]][0]:
            medians = [1000 * statistics.median(run[event] for run in runs[size]) for size in SIZES]
            print(f"  {event:<24}" + "".join(f"{value:>10.0f}" for value in medians))


if __name__ == "__main__":
    main()
