"""The local job service and jobs for it, with only what a test cares about spelled out."""

from __future__ import annotations

from batch_emulator.engine.fork_launcher import ForkLauncher
from batch_emulator.engine.options import base_environment
from epydrop.core.jobs import RETRIED_BY_BATCH, JobSpec
from epydrop.formats.orders import Resources
from epydrop_workstation.local.database import Database
from epydrop_workstation.local.job_service import LocalJobService
from epydrop_workstation.local.options import LocalOptions
from support import engine_jobs


def a_service(root, emit=None, module="sample_tasks", env=None, **options):
    """A service whose tasks find the sample tasks, and the database under it."""
    database = Database(root)
    path = {"PYTHONPATH": engine_jobs.TASK_PATH}
    chosen = LocalOptions(**{"cores": 2, "env": {**path, **(env or {})}, "backoff": 0.01, **options})
    launcher = ForkLauncher(module, {**base_environment(), **path})
    return LocalJobService(database, emit=emit, options=chosen, launcher=launcher), database


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
    """Waits until the condition holds; with a service, runs its tasks meanwhile."""
    if service is None:
        engine_jobs.until(condition)
    else:
        engine_jobs.until(condition, lambda: service.run_tasks(0.1))
