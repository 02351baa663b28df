"""The emulator's engine on its own, and jobs for it, with only what a test cares about spelled out."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import psutil

from batch_emulator.engine.fork_launcher import ForkLauncher
from batch_emulator.engine.job_store import TABLES, JobObserver, JobStore
from batch_emulator.engine.jobs import TaskState
from batch_emulator.engine.launchers import SpawnLauncher
from batch_emulator.engine.options import Options, base_environment
from batch_emulator.engine.sqlite_file import Schema, SqliteFile
from batch_emulator.engine.supervisor import Supervisor
from batch_emulator.engine.supervisor_lock import SupervisorLock
from batch_emulator.engine.task_logs import log_folder
from batch_emulator.engine.work import Retries, Work
from support.paths import STAND_INS

PATIENCE = 1500.0  # seconds; only a hang takes so long
SCHEMA = Schema(TABLES, application_id=1, version=1)
JOB = "job-1"
# Where tasks find the stand-ins, and the same code as this process.
TASK_PATH = os.pathsep.join(filter(None, [str(STAND_INS), os.environ.get("PYTHONPATH")]))


class Engine:
    """Everything between a job and its processes; the store's specification is the Work as JSON."""

    def __init__(self, root, kind="fork", module="sample_tasks", observer=None, faults=None, env=None, **options):
        self.database = SqliteFile(Path(root) / "state", SCHEMA)
        self.store = JobStore(self.database, observer or JobObserver())
        self.faults = faults
        here = {**base_environment(), "PYTHONPATH": TASK_PATH}
        self.launcher = SpawnLauncher() if kind == "spawn" else ForkLauncher(module, here)
        chosen = Options(**{"cores": 2, "env": {**here, **(env or {})}, "backoff": 0.01, **options})
        self.supervisor = Supervisor(self.store, self.launcher, chosen, self.database.folder, self._work_of)
        self._lock = SupervisorLock(self.database.folder / "supervisor.lock")
        self._is_open = False

    def submit(self, *action, job_id=JOB, tasks=1, **changes):
        """A job whose tasks do the action of that name in ``sample_tasks``."""
        work = {
            "job_id": job_id,
            "task_count": tasks,
            "parallelism": tasks,
            "command": ["python", "-m", "sample_tasks", *map(str, action)],
            "env": {},
            "memory_mib": 2000,
            "max_run_duration": 600,
            "retries": 2,
            **changes,
        }
        self.store.insert(job_id, f"uid-of-{job_id}", json.dumps(work).encode(), tasks)

    def step(self, timeout=0.1):
        """One step of the supervisor, which takes the lock first."""
        if not self._is_open:
            self.launcher.open(self._lock.take())
            self._is_open = True
            self.supervisor.recover()
        return self.supervisor.step(timeout)

    def close(self):
        if self._is_open:
            self.supervisor.close()
            self._lock.release()
            self._is_open = False

    def until(self, condition):
        """Runs tasks until the condition holds."""
        until(condition, self.step)

    def finish(self, job_id=JOB):
        """The job, once it has ended."""
        self.until(lambda: self.store.job(job_id).state.is_final)
        return self.store.job(job_id)

    def running(self, job_id=JOB):
        """Process ids of the running tasks."""
        return [row.pid for row in self.store.tasks(job_id, TaskState.RUNNING)]

    def failed(self, job_id=JOB):
        """Exit codes of the failed tasks by position."""
        return {end.position: end.exit_code for end in self.store.failed(job_id)}

    def log(self, position=0, retry=0, job_id=JOB):
        return (log_folder(self.database.folder, job_id) / f"{position:05d}-{retry}.log").read_text()

    def _work_of(self, job_id):
        found = json.loads(self.store.job(job_id).spec)
        found["command"] = tuple(found["command"])
        found["retries"] = Retries(found["retries"], frozenset({75, 50001, 50002}))
        return Work(**found, **({"faults": self.faults} if self.faults else {}))


def until(condition, meanwhile=lambda: time.sleep(0.02)):
    """Waits until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        meanwhile()


def is_alive(pid):
    """Whether a process still runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pids_in(folder):
    """The process ids that tasks of the action 'parent' wrote down."""
    return [int(pid) for file in Path(folder).glob("*.pids") for pid in file.read_text().split()]


def descendants(pid=None):
    """All running processes below one, or below this."""
    below = psutil.Process(pid or os.getpid()).children(recursive=True)
    return [process.pid for process in below if is_alive(process.pid)]
