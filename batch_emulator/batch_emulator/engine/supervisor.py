"""The loop that a Batch of one machine consists of: start what is due, end what is over its limits, record what ended.

One thread. What it knows of running tasks it also records, so that the next supervisor can clear up after it.
"""

from __future__ import annotations

import math
import shutil
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from batch_emulator.engine import job_store as kept
from batch_emulator.engine import processes
from batch_emulator.engine.job_at_work import JobAtWork
from batch_emulator.engine.job_store import JobStore, TaskRow
from batch_emulator.engine.launchers import Ended, Launch, Launcher
from batch_emulator.engine.options import Options
from batch_emulator.engine.running_task import RunningTask
from batch_emulator.engine.work import Work
from epydrop.core.jobs import JobState
from epydrop.errors import BadInput, ExitCode

_GIVEN_UP = (JobState.CANCELLATION_IN_PROGRESS, JobState.DELETION_IN_PROGRESS)


class Supervisor:
    """Runs the tasks of all jobs in the store, those of the more important and then of the older job first.

    ``work_of`` says what a job is to do; a job that it refuses with BadInput has failed. ``is_wanted`` tells
    which jobs are tended: all, unless somebody sets it.
    """

    def __init__(
        self, store: JobStore, launcher: Launcher, options: Options, folder: Path, work_of: Callable[[str], Work]
    ) -> None:
        self._store = store
        self._launcher = launcher
        self._options = options
        self._folder = folder
        self._work_of = work_of
        self._jobs: dict[str, JobAtWork] = {}
        self._tasks: dict[int, RunningTask] = {}
        self._sampled = 0.0
        self.is_wanted: Callable[[str], bool] = lambda _: True

    def recover(self) -> None:
        """Ends what an earlier supervisor left running; those tasks wait again, and it costs them no retry."""
        for job_id, _ in self._store.active():
            rows = self._store.tasks(job_id, kept.RUNNING)
            for row in rows:
                if row.pid is not None:
                    processes.end_recorded(row.pid, row.pid_created)
            self._store.record([_waiting(row) for row in rows])
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

    @property
    def is_idle(self) -> bool:
        """Whether no job was at work when it last looked."""
        return not self._jobs

    def close(self) -> None:
        """Ends all tasks; they wait again, as after ``recover``."""
        self._launcher.close()
        self._store.record([_waiting(task.row) for task in self._tasks.values()])
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
            if not self.is_wanted(job_id):
                continue
            if job_id not in self._jobs:
                is_new = True
                if not self._take_up(job_id):
                    continue
            self._jobs[job_id].is_cancelled = state in _GIVEN_UP
        if is_new:
            self._jobs = dict(sorted(self._jobs.items(), key=lambda item: -item[1].work.priority))
        return is_new

    def _take_up(self, job_id: str) -> bool:
        """Begins with a job; False when it cannot be carried out, and so has failed."""
        try:
            work = self._work_of(job_id)
        except BadInput as error:
            with self._store.database.transaction():
                self._store.abandon(job_id)
                self._store.move(
                    job_id, [JobState.QUEUED, JobState.SCHEDULED, JobState.RUNNING], JobState.FAILED, str(error)
                )
            return False
        if work.hold and work.hold.state is JobState.SCHEDULED:
            self._store.move(job_id, [JobState.QUEUED], JobState.SCHEDULED)
        self._jobs[job_id] = JobAtWork(work, deque(self._store.tasks(job_id, kept.PENDING)))
        return True

    def _enforce(self) -> None:
        now = time.monotonic()
        for task in self._tasks.values():
            if self._jobs[task.work.job_id].is_cancelled:
                task.cancel(now, self._options.grace)
            task.enforce(now, self._options.grace)
        if self._tasks and now >= self._sampled + self._options.sample_every:
            self._sampled = now
            for pid, used in processes.memory_of(self._tasks.keys()).items():
                self._tasks[pid].enforce_memory(used)

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

    def _launch(self, job: JobAtWork, row: TaskRow) -> TaskRow:
        began = time.monotonic()
        name = f"{row.position:05d}-{row.retry}"
        log = log_folder(self._folder, row.job_id) / f"{name}.log"
        cwd = self._scratch / row.job_id / name
        for folder in (log.parent, cwd):
            if not folder.is_dir():
                folder.mkdir(parents=True)
        log.touch()  # there from the moment at which the task is shown as running
        pid = self._launcher.start(Launch(job.work.command, self._environment(job.work, row, cwd), cwd, log))
        strike = job.work.trouble.strikes(row.job_id, row.position, row.retry)
        self._tasks[pid] = RunningTask(job.work, row, pid, log, cwd, began, strike and (began + strike[0], strike[1]))
        job.running += 1
        return replace(row, state=kept.RUNNING, pid=pid, pid_created=processes.created(pid), started=time.time())

    def _environment(self, work: Work, row: TaskRow, cwd: Path) -> dict[str, str]:
        env = self._options.env_of(work.job_id)
        return {**env, **work.environment(row.position, row.retry), "TMPDIR": str(cwd)}

    def _outcome(self, task: RunningTask, end: Ended) -> TaskRow:
        """What is recorded of a try that ended; one to be tried again is put back into its job."""
        job = self._jobs[task.work.job_id]
        job.running -= 1
        row = TaskRow(task.row.job_id, task.row.position, kept.FAILED, task.row.retry)
        reported = task.reported()
        code = task.verdict or (task.strike[1] if task.strike else reported or end.exit_code)
        if code == ExitCode.OK:
            return replace(row, state=kept.SUCCEEDED, exit_code=0)
        task.note(f"exit code {code}, {end.cpu_seconds:.1f} s of CPU, at most {end.peak_mib:.0f} MiB in one process")
        if task.is_cancelled and task.verdict is None and end.exit_code > 128:
            return row  # ended by our signal, which says nothing about the task: no exit code
        if task.is_cancelled or not task.work.retries.follow(code, row.retry):
            return replace(row, exit_code=code)
        again = replace(row, state=kept.PENDING, retry=row.retry + 1, exit_code=code)
        job.try_again(again, time.monotonic() + self._options.pause_after(row.retry))
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
        job = self._store.job(job_id)
        counts = self._store.counts(job_id)
        if job is None or job.state is JobState.DELETION_IN_PROGRESS:
            self._store.erase(job_id)
        elif job.state is JobState.CANCELLATION_IN_PROGRESS:
            self._store.move(job_id, [job.state], JobState.CANCELLED, "cancelled")
        elif counts.failed:
            detail = f"{counts.failed} of {self._jobs[job_id].work.task_count} tasks failed"
            self._store.move(job_id, [job.state], JobState.FAILED, detail)
        else:
            self._store.move(job_id, [job.state], JobState.SUCCEEDED)

    # -- when and where ------------------------------------------------------------------------

    def _next_moment(self) -> float:
        moments = [task.next_moment() for task in self._tasks.values()]
        if moments:
            moments.append(self._sampled + self._options.sample_every)
        if len(self._tasks) < self._options.cores:
            now = time.monotonic()
            moments += [job.next_moment(now) for job in self._jobs.values()]
        return min(moments, default=math.inf)

    @property
    def _scratch(self) -> Path:
        return self._folder / "scratch"


def log_folder(folder: Path, job_id: str) -> Path:
    """Where the logs of a job's tasks lie."""
    return folder / "logs" / job_id


def _waiting(row: TaskRow) -> TaskRow:
    return TaskRow(row.job_id, row.position, kept.PENDING, row.retry, row.exit_code if row.retry else None)
