"""The loop that a Batch of one machine consists of: start what is due, end what is over its limits, record what ended.

One thread. What it knows of running tasks it also records, so that the next supervisor can clear up after it.
"""

from __future__ import annotations

import heapq
import math
import shutil
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path

from epydrop.errors import ExitCode
from epydrop.jobs import JobSpec, JobState
from epydrop.local import job_store as kept
from epydrop.local import processes
from epydrop.local.job_store import JobStore, TaskRow
from epydrop.local.launchers import Ended, Launch, Launcher
from epydrop.local.options import Options
from epydrop.local.running_task import RunningTask
from epydrop.names import parse_job_id

_MIB = 1024 * 1024


@dataclass
class _Job:
    """A job at work. ``waiting`` is in order; ``later`` are retries with the moment from which they may start."""

    spec: JobSpec
    waiting: deque[TaskRow]
    later: list[tuple[float, int, TaskRow]] = field(default_factory=list)
    running: int = 0
    is_cancelled: bool = False

    def next_task(self, now: float) -> TaskRow | None:
        """The task to start next, taken from the job, if one may start."""
        if self.is_cancelled or self.running >= self.spec.parallelism:
            return None
        if self.later and self.later[0][0] <= now:
            return heapq.heappop(self.later)[2]
        return self.waiting.popleft() if self.waiting else None

    @property
    def is_over(self) -> bool:
        return not self.running and (self.is_cancelled or not (self.waiting or self.later))


class Supervisor:
    """Runs the tasks of all jobs in the store, those of the older job first."""

    def __init__(self, store: JobStore, launcher: Launcher, options: Options, folder: Path) -> None:
        self._store = store
        self._launcher = launcher
        self._options = options
        self._folder = folder
        self._jobs: dict[str, _Job] = {}
        self._tasks: dict[int, RunningTask] = {}
        self._sampled = 0.0
        self.only_run = ""  # the run whose jobs are tended; all jobs' when empty

    def recover(self) -> None:
        """Ends what an earlier supervisor left running; those tasks wait again, and it costs them no retry."""
        for job_id, _ in self._store.active():
            rows = self._store.tasks(job_id, kept.RUNNING)
            for row in rows:
                if row.pid is not None:
                    processes.end_recorded(row.pid, row.pid_created)
            self._store.record(_waiting(row) for row in rows)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def tend(self, timeout: float) -> bool:
        """Does what there is to do; returns as soon as something was done, or False after ``timeout`` seconds."""
        until = time.monotonic() + timeout
        wait = 0.0
        while not self._round(self._launcher.wait(wait)):
            now = time.monotonic()
            if now >= until:
                return False
            wait = max(0.001, min(until, self._next_moment()) - now)
        return True

    def close(self) -> None:
        """Ends all tasks; they wait again, as after ``recover``."""
        self._launcher.close()
        self._store.record(_waiting(task.row) for task in self._tasks.values())
        self._tasks.clear()
        self._jobs.clear()
        shutil.rmtree(self._scratch, ignore_errors=True)

    # -- one round -----------------------------------------------------------------------------

    def _round(self, ended: list[Ended]) -> bool:
        over = [(self._tasks.pop(end.pid), end) for end in ended if end.pid in self._tasks]
        rows = [self._outcome(task, end) for task, end in over]
        try:
            is_new = self._look()
            self._enforce()
            started = self._start()
        except BaseException:
            self._store.record(rows)
            raise
        changed = self._record(rows + started, {row.job_id for row in started})
        for task, _ in over:
            shutil.rmtree(task.cwd, ignore_errors=True)
        return changed or is_new

    def _look(self) -> bool:
        """Takes up new jobs and cancellations; whether there was a new job."""
        is_new = False
        for job_id, state in self._store.active():
            if not self._is_wanted(job_id):
                continue
            if job_id not in self._jobs:
                self._jobs[job_id] = _Job(self._store.spec(job_id), deque(self._store.tasks(job_id, kept.PENDING)))
                is_new = True
            self._jobs[job_id].is_cancelled = state is JobState.CANCELLATION_IN_PROGRESS
        return is_new

    def _is_wanted(self, job_id: str) -> bool:
        name = parse_job_id(job_id)
        return not self.only_run or (name is not None and name.run_id == self.only_run)

    def _enforce(self) -> None:
        now = time.monotonic()
        for task in self._tasks.values():
            if self._jobs[task.spec.job_id].is_cancelled:
                task.cancel(now, self._options.grace)
            task.enforce(now, self._options.grace)
        if self._tasks and now >= self._sampled + self._options.sample_every:
            self._sampled = now
            self._enforce_memory()

    def _enforce_memory(self) -> None:
        for pid, used in processes.memory_of(self._tasks.keys()).items():
            task = self._tasks[pid]
            limit = task.spec.resources.memory_mib
            if used > limit * _MIB and task.verdict is None:
                task.note(f"killed: it used {used / _MIB:.0f} MiB of memory, its limit is {limit} MiB (memory_mib)")
                task.kill(ExitCode.OUT_OF_MEMORY)

    def _start(self) -> list[TaskRow]:
        started: list[TaskRow] = []
        for job in self._jobs.values():
            while len(self._tasks) < self._options.cores and (row := job.next_task(time.monotonic())):
                try:
                    started.append(self._launch(job, row))
                except BaseException:
                    job.waiting.appendleft(row)
                    self._store.record(started)
                    raise
        return started

    def _launch(self, job: _Job, row: TaskRow) -> TaskRow:
        began = time.monotonic()
        name = f"{row.position:05d}-{row.retry}"
        log = log_folder(self._folder, row.job_id) / f"{name}.log"
        cwd = self._scratch / row.job_id / name
        for folder in (log.parent, cwd):
            if not folder.is_dir():
                folder.mkdir(parents=True)
        log.touch()  # there from the moment at which the task is shown as running
        pid = self._launcher.start(Launch(job.spec.command, self._environment(job.spec, row, cwd), cwd, log))
        strike = self._options.trouble.strikes(row.job_id, row.position, row.retry)
        self._tasks[pid] = RunningTask(job.spec, row, pid, log, cwd, began, strike and (began + strike[0], strike[1]))
        job.running += 1
        return replace(row, state=kept.RUNNING, pid=pid, pid_created=processes.created(pid), started=time.time())

    def _environment(self, spec: JobSpec, row: TaskRow, cwd: Path) -> dict[str, str]:
        return {
            **self._options.env_of(spec.job_id),
            **spec.env,
            "TMPDIR": str(cwd),
            "BATCH_TASK_INDEX": str(row.position),
            "BATCH_TASK_COUNT": str(spec.task_count),
            "BATCH_TASK_RETRY_ATTEMPT": str(row.retry),
            "EPYDROP_CORES": str(self._options.cores),
        }

    def _outcome(self, task: RunningTask, end: Ended) -> TaskRow:
        """What is recorded of a try that ended; one to be tried again is put back into its job."""
        job = self._jobs[task.spec.job_id]
        job.running -= 1
        row = TaskRow(task.row.job_id, task.row.position, kept.FAILED, task.row.retry)
        code = task.verdict or (task.strike[1] if task.strike else end.exit_code)
        if code == ExitCode.OK:
            return replace(row, state=kept.SUCCEEDED, exit_code=0)
        task.note(f"exit code {code}, {end.cpu_seconds:.1f} s of CPU, at most {end.peak_mib:.0f} MiB in one process")
        if task.is_cancelled and task.verdict is None and end.exit_code > 128:
            return row  # ended by our signal, which says nothing about the task: no exit code
        if code not in task.spec.retried_exit_codes or row.retry >= task.spec.max_task_retries or task.is_cancelled:
            return replace(row, exit_code=code)
        again = replace(row, state=kept.PENDING, retry=row.retry + 1, exit_code=code)
        heapq.heappush(job.later, (time.monotonic() + self._options.backoff * 2**row.retry, row.position, again))
        return again

    def _record(self, rows: list[TaskRow], started: set[str]) -> bool:
        """Writes the round in one transaction; whether there was anything to write."""
        over = [job_id for job_id, job in self._jobs.items() if job.is_over]
        if not rows and not over:
            return False
        with self._store.database.transaction():
            self._store.record(rows)
            for job_id in started:
                self._store.move(job_id, [JobState.QUEUED], JobState.SCHEDULED)
                self._store.move(job_id, [JobState.SCHEDULED], JobState.RUNNING)
            for job_id in over:
                self._end(job_id)
        for job_id in over:
            del self._jobs[job_id]
        return True

    def _end(self, job_id: str) -> None:
        self._store.abandon(job_id)
        counts = self._store.counts(job_id)
        if self._store.move(job_id, [JobState.CANCELLATION_IN_PROGRESS], JobState.CANCELLED, "cancelled"):
            return
        ended = JobState.FAILED if counts.failed else JobState.SUCCEEDED
        detail = f"{counts.failed} of {self._jobs[job_id].spec.task_count} tasks failed" if counts.failed else ""
        self._store.move(job_id, [JobState.QUEUED, JobState.SCHEDULED, JobState.RUNNING], ended, detail)

    # -- when and where ------------------------------------------------------------------------

    def _next_moment(self) -> float:
        moments = [task.next_moment() for task in self._tasks.values()]
        if moments:
            moments.append(self._sampled + self._options.sample_every)
        if len(self._tasks) < self._options.cores:
            moments += [job.later[0][0] for job in self._jobs.values() if job.later]
        return min(moments, default=math.inf)

    @property
    def _scratch(self) -> Path:
        return self._folder / "scratch"


def log_folder(folder: Path, job_id: str) -> Path:
    """Where the logs of a job's tasks lie."""
    return folder / "logs" / job_id


def _waiting(row: TaskRow) -> TaskRow:
    return TaskRow(row.job_id, row.position, kept.PENDING, row.retry, row.exit_code if row.retry else None)
