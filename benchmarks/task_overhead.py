"""The overhead of starting tasks: wall time of 200 tasks of 0.2 s, relative to their task time divided by the cores.

Compares the local job service with one new Python process per task. All figures of a table come from one run, because
only ratios are meaningful on a shared machine. ``make bench`` runs it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tasks

from batch_emulator.engine.fork_launcher import ForkLauncher
from batch_emulator.engine.options import base_environment, usable_cores
from epydrop.core.jobs import JobSpec, JobState
from epydrop.formats.orders import Resources
from epydrop_workstation.local.database import Database
from epydrop_workstation.local.job_service import LocalJobService
from epydrop_workstation.local.options import LocalOptions

TASKS = 200
PLAIN_TASKS = 20  # new processes are so slow that a tenth of the tasks is enough to measure
HERE = Path(__file__).parent
ENV = {**base_environment(), "PYTHONPATH": str(HERE)}


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def with_job_service(argv: tuple[str, ...], cores: int) -> float:
    """Wall seconds from the submission of a job of TASKS tasks to its end. The fork server runs already."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PYTHONPATH"] = str(HERE)
        launcher = ForkLauncher("tasks", ENV)
        service = LocalJobService(Database(Path(folder)), options=LocalOptions(cores=cores, env=ENV), launcher=launcher)

        def run(job_id: str, count: int) -> None:
            size = Resources(1000, 4000, 600, 4000)
            service.submit(JobSpec(job_id, count, cores, ("python", "-m", "tasks", *argv), {}, size, {}))
            while True:
                view = service.get(job_id)
                if view is not None and view.state.is_ended:
                    assert view.state is JobState.SUCCEEDED, view  # noqa: S101 - the time of a failed job means nothing
                    return
                service.run_tasks(0.2)

        try:
            run("warm-up", cores)
            return seconds(lambda: run("measured", TASKS))
        finally:
            service.close()


def with_plain_processes(argv: tuple[str, ...], cores: int) -> float:
    """Wall seconds of PLAIN_TASKS tasks, each in a new Python process, scaled to TASKS."""

    def one(_: int) -> None:
        subprocess.run([sys.executable, "-m", "tasks", *argv], check=True, cwd=HERE, env=ENV)

    def all_of_them() -> None:
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(one, range(PLAIN_TASKS)))

    return seconds(all_of_them) * TASKS / PLAIN_TASKS


def burned_side_by_side(rounds: int, cores: int) -> float:
    """Wall seconds of all the arithmetic in one process per core, without any task being started."""
    code = f"import tasks; tasks.burn({rounds} * {TASKS} // {cores})"
    bare = f"import tasks; tasks.burn({rounds})"

    def on_all_cores(text: str) -> None:
        workers = [subprocess.Popen([sys.executable, "-c", text], cwd=HERE, env=ENV) for _ in range(cores)]
        for worker in workers:
            worker.wait()

    return seconds(lambda: on_all_cores(code)) - seconds(lambda: on_all_cores(bare))


def main() -> None:
    """Prints one table."""
    cores = usable_cores()
    rounds = max(1, round(tasks.SECONDS / seconds(lambda: tasks.burn(100)) * 100))
    print(f"{TASKS} tasks of {tasks.SECONDS} s on {cores} cores; wall time over the ideal")
    print(f"{'task':<8}{'ideal s':>10}{'job service':>14}{'plain process':>16}")
    for name, argv, ideal in (
        ("sleeps", ("sleep",), TASKS * tasks.SECONDS / cores),
        ("computes", ("burn", str(rounds)), burned_side_by_side(rounds, cores)),
    ):
        service, plain = with_job_service(argv, cores), with_plain_processes(argv, cores)
        print(f"{name:<8}{ideal:>10.1f}{service / ideal:>14.2f}{plain / ideal:>16.2f}")


if __name__ == "__main__":
    main()
