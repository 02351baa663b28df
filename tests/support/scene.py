"""A world with scripted jobs and a clock of its own, and what a test does in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from epydrop.core.events import FileDropped, JobChanged
from epydrop.core.run import Dropped, Run
from epydrop.formats import names
from epydrop.formats.names import parse_job_id
from epydrop.service.reconcile import reconcile
from epydrop.service.world import World
from epydrop.settings import Settings
from epydrop.stores import open_store
from epydrop.stores.folder import FileObjectStore
from epydrop_workstation.local.database import Database
from epydrop_workstation.local.run_store import SqliteRunStore
from support.factories import NOW
from support.scripted_jobs import ScriptedJob, ScriptedJobs

EXPERIMENT = b"exp_id: flu\nmodel: {model: {type: SIR}}\ntasks: {populations: [here, there]}\n"


class Messages:
    """The Publisher port: remembers what was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict]] = []

    def publish(self, topic: str, message: dict) -> None:
        self.sent.append((topic, message))


class Scene:
    """A world with scripted jobs, and what a test does in it."""

    def __init__(self, folder: Path) -> None:
        self.clock = NOW
        self._database = Database(folder)
        self.runs = SqliteRunStore(self._database)
        self.trigger = FileObjectStore(folder / "trigger")
        self.jobs = ScriptedJobs(lambda: self.clock, open_store)
        self.messages = Messages()
        self.world = World(
            Settings(f"{(folder / 'data').as_uri()}/", "trigger", "test", "sha256:0", NOW - timedelta(days=365)),
            self.runs,
            self.trigger,
            self.jobs,
            self.messages,
            open_store,
            lambda: self.clock,
            self.sleep,
        )

    def close(self) -> None:
        """Close the state file; Python 3.13 warns of connections that are left to the garbage collector."""
        self._database.close()

    def sleep(self, seconds: float) -> None:
        self.clock += timedelta(seconds=seconds)

    def reconcile(self, event: object) -> None:
        self.clock += timedelta(seconds=1)
        reconcile(event, self.world)

    def drop(self, text: bytes = EXPERIMENT, name: str = "experiments/flu.yaml") -> FileDropped:
        info = self.trigger.write(name, text)
        return FileDropped(Dropped("trigger", name, info.generation, self.clock), info.size)

    def run(self) -> Run:
        (run,) = self.runs.newest(2)
        return run

    def job(self) -> ScriptedJob:
        return self.jobs.jobs[self.run().current.job_id]

    def end_job(self, codes: dict[int, int | None] | None = None, **options: int) -> None:
        job = self.job()
        self.jobs.finish(job, codes or {}, **options)
        self.reconcile(JobChanged(parse_job_id(job.spec.job_id), job.view.state))

    def reply(self, suffix: str = "json") -> bytes:
        run = self.run()
        return self.trigger.read(names.reply_name(run.dropped.name, run.run_id, suffix))
