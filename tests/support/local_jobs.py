"""Local job services and jobs for them, with only what a test cares about spelled out."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil

from batch_emulator.engine.fork_launcher import ForkLauncher
from batch_emulator.engine.launchers import SpawnLauncher
from batch_emulator.engine.options import Options, base_environment
from epydrop.core.jobs import RETRIED_BY_BATCH, JobSpec
from epydrop.formats.orders import Resources
from epydrop_workstation.local.database import Database
from epydrop_workstation.local.job_service import LocalJobService
from support.paths import STAND_INS

PATIENCE = 100.0  # seconds; only a hang takes so long


def a_launcher(kind, module="sample_tasks"):
    """A launcher whose processes find the sample tasks."""
    path = {"PYTHONPATH": str(STAND_INS)}
    return SpawnLauncher() if kind == "spawn" else ForkLauncher(module, {**base_environment(), **path})


def a_service(root, kind="fork", emit=None, module="sample_tasks", env=None, **options):
    """A service and the database under it."""
    database = Database(root)
    env = {"PYTHONPATH": str(STAND_INS), **(env or {})}
    chosen = Options(**{"cores": 2, "env": env, "backoff": 0.01, **options})
    return LocalJobService(database, emit=emit, options=chosen, launcher=a_launcher(kind, module)), database


def a_spec(*action, job_id="runner-x-1", tasks=1, **changes):
    """A job whose tasks do the action of that name in ``sample_tasks``."""
    resources = {"cpu_milli": 1000, "memory_mib": 2000, "max_run_duration": 600, "max_memory_mib": 4000}
    resources.update({name: changes.pop(name) for name in list(changes) if name in resources})
    given = {
        "job_id": job_id,
        "task_count": tasks,
        "parallelism": tasks,
        "command": ("python", "-m", "sample_tasks", *map(str, action)),
        "env": {},
        "resources": Resources(**resources),
        "labels": {"run_id": "x"},
        "max_task_retries": 2,
        "retried_exit_codes": RETRIED_BY_BATCH,
        **changes,
    }
    return JobSpec(**given)


def until(condition, service=None):
    """Waits until the condition holds, tending the service's jobs meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        if service:
            service.tend(0.1)
        else:
            time.sleep(0.02)


def is_alive(pid):
    """Whether a process does anything any more."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pids_in(folder):
    """The processes that tasks of the action 'parent' told of."""
    return [int(pid) for file in Path(folder).glob("*.pids") for pid in file.read_text().split()]


def descendants(pid=None):
    """All processes below one, or below this."""
    return psutil.Process(pid or os.getpid()).children(recursive=True)
