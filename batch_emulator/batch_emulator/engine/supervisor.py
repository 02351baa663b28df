"""The loop at the heart of the engine: start what is due, end what exceeds its limits, record what ended.

One thread. Whatever it knows of running tasks is also in the store, so that after a crash the next supervisor can
end them and start them again.
"""

from __future__ import annotations

import math
import shutil
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from batch_emulator.engine import processes
from batch_emulator.engine.active_job import ActiveJob
from batch_emulator.engine.errors import InvalidInputError, full_disk_as_unavailable
from batch_emulator.engine.job_store import JobStore, TaskRow
from batch_emulator.engine.jobs import LIVE_STATES, JobState, TaskState
from batch_emulator.engine.launchers import Ended, Launch, Launcher
from batch_emulator.engine.options import Options
from batch_emulator.engine.running_task import RunningTask
from batch_emulator.engine.task_logs import log_folder
from batch_emulator.engine.work import Work

_ENDING = (JobState.CANCELLATION_IN_PROGRESS, JobState.DELETION_IN_PROGRESS)


class Supervisor:
    """Runs the tasks of all jobs in the store, by priority and then by age of the job.

    ``work_of`` returns what a job is to do; a job for which it raises InvalidInputError fails. ``is_wanted`` limits
    the supervisor to some jobs; by default it runs all.
    """

    def __init__(
        self, store: JobStore, launcher: Launcher, options: Options, folder: Path, work_of: Callable[[str], Work]
    ) -> None:
        self._store = store
        self._launcher = launcher
        self._options = options
        self._folder = folder
        self._work_of = work_of
        self._jobs: dict[str, ActiveJob] = {}
        self._tasks: dict[int, RunningTask] = {}
        self._sampled = 0.0
        self.is_wanted: Callable[[str], bool] = lambda _: True

    def recover(self) -> None:
        """Ends what an earlier supervisor left running. Those tasks wait again, without loss of a retry."""
        for job_id, _ in self._store.active():
            rows = self._store.tasks(job_id, TaskState.RUNNING)
            for row in rows:
                if row.pid is not None:
                    processes.end_recorded(row.pid, row.pid_created)
            self._store.record([_waiting(row) for row in rows])
        # Removed only now: the processes that worked there are gone.
        shutil.rmtree(self._scratch, ignore_errors=True)

    def step(self, timeout: float) -> bool:
        """Waits for something to do and does it; False if nothing came up within ``timeout`` seconds.

        Raises UnavailableError if the state is busy, no process can be started, or the disk is full.
        """
        until = time.monotonic() + timeout
        wait = 0.0  # the first look never waits: something may be due already
        with full_disk_as_unavailable():
            while not self._round(self._launcher.wait(wait)):
                now = time.monotonic()
                if now >= until:
                    return False
                wait = max(0.001, min(until, self._next_deadline()) - now)
        return True

    @property
    def is_idle(self) -> bool:
        """Whether there was no unfinished job at the last look into the store."""
        return not self._jobs

    def close(self) -> None:
        """Ends all tasks; they wait for the next supervisor, without loss of a retry."""
        self._launcher.close()  # first: a task recorded as waiting must not be running any more
        self._store.record([_waiting(task.row) for task in self._tasks.values()])
        self._tasks.clear()
        self._jobs.clear()
        shutil.rmtree(self._scratch, ignore_errors=True)

    # -- one round -----------------------------------------------------------------------------

    def _round(self, ended: list[Ended]) -> bool:
        finished = [(self._tasks.pop(end.pid), end) for end in ended if end.pid in self._tasks]
        rows = [self._outcome(task, end) for task, end in finished]
        try:
            is_new = self._take_up_jobs()
            self._enforce()
            started = self._start()
        except BaseException:
            self._store.record(rows)  # these processes are gone: nobody could find out their exit codes later
            raise
        # One transaction for the whole round: commits would otherwise limit how fast quick tasks run.
        changed = self._record(rows + started, {row.job_id for row in started})
        for task, _ in finished:
            shutil.rmtree(task.cwd, ignore_errors=True)
        return changed or is_new

    def _take_up_jobs(self) -> bool:
        """Looks into the store for new jobs and cancellations; True if there was a new job."""
        is_new = False
        for job_id, state in self._store.active():
            if not self.is_wanted(job_id):
                continue
            if job_id not in self._jobs:
                is_new = True
                if not self._take_up(job_id):
                    continue
            self._jobs[job_id].is_cancelled = state in _ENDING
        if is_new:
            # Sorting is stable, and the store returns jobs by age, so equal priorities stay in that order.
            self._jobs = dict(sorted(self._jobs.items(), key=lambda item: -item[1].work.priority))
        return is_new

    def _take_up(self, job_id: str) -> bool:
        """Starts to work on a job; False if it cannot be carried out, and so has failed."""
        try:
            work = self._work_of(job_id)
        except InvalidInputError as error:
            with self._store.database.transaction():
                self._store.abandon(job_id)
                self._store.move(job_id, LIVE_STATES, JobState.FAILED, str(error))
            return False
        if work.hold and work.hold.state is JobState.SCHEDULED:
            self._store.move(job_id, [JobState.QUEUED], JobState.SCHEDULED)
        self._jobs[job_id] = ActiveJob(work, deque(self._store.tasks(job_id, TaskState.PENDING)))
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
            while len(self._tasks) < self._options.cores and (row := job.take_next(time.monotonic())):
                try:
                    started.append(self._launch(job, row))
                except BaseException:
                    job.waiting.appendleft(row)
                    self._store.record(started)
                    raise
        return started

    def _launch(self, job: ActiveJob, row: TaskRow) -> TaskRow:
        began = time.monotonic()
        name = f"{row.position:05d}-{row.retry}"
        log = log_folder(self._folder, row.job_id) / f"{name}.log"
        cwd = self._scratch / row.job_id / name
        for folder in (log.parent, cwd):
            if not folder.is_dir():
                folder.mkdir(parents=True)
        log.touch()  # a reader may see the task as running and open its log at once
        pid = self._launcher.start(Launch(job.work.command, self._environment(job.work, row, cwd), cwd, log))
        fault = job.work.faults.kill_of(row.job_id, row.position, row.retry)
        self._tasks[pid] = RunningTask(job.work, row, pid, log, cwd, began, fault and (began + fault[0], fault[1]))
        job.running += 1
        return replace(row, state=TaskState.RUNNING, pid=pid, pid_created=processes.created(pid), started=time.time())

    def _environment(self, work: Work, row: TaskRow, cwd: Path) -> dict[str, str]:
        return {**self._options.env, **work.environment(row.position, row.retry), "TMPDIR": str(cwd)}

    def _outcome(self, task: RunningTask, end: Ended) -> TaskRow:
        """The row to record for a try that ended; one that is to be retried goes back into its job."""
        job = self._jobs[task.work.job_id]
        job.running -= 1
        row = TaskRow(task.row.job_id, task.row.position, TaskState.FAILED, task.row.retry)
        reported = task.reported_exit_code()
        code = task.verdict or (task.fault[1] if task.fault else reported or end.exit_code)
        if code == 0:
            return replace(row, state=TaskState.SUCCEEDED, exit_code=0)
        task.note(f"exit code {code}, {end.cpu_seconds:.1f} s of CPU, at most {end.peak_mib:.0f} MiB in one process")
        if task.is_cancelled and task.verdict is None and end.exit_code > 128:
            return row  # our own signal ended it: 128 + SIGKILL would look like a lack of memory
        if task.is_cancelled or not task.work.retries.follow(code, row.retry):
            return replace(row, exit_code=code)
        again = replace(row, state=TaskState.PENDING, retry=row.retry + 1, exit_code=code)
        job.retry_at(time.monotonic() + self._options.pause_after(row.retry), again)
        return again

    def _record(self, rows: list[TaskRow], started: set[str]) -> bool:
        """Writes the round in one transaction; True if there was anything to write."""
        over = [job_id for job_id, job in self._jobs.items() if job.is_over]
        if not rows and not over:
            return False
        with self._store.database.transaction():
            self._store.record(rows)
            for job_id in started:
                # Both steps, because observers expect every state in Batch's order.
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

    # -- deadlines and folders ------------------------------------------------------------------------

    def _next_deadline(self) -> float:
        moments = [task.next_deadline() for task in self._tasks.values()]
        if moments:
            moments.append(self._sampled + self._options.sample_every)
        if len(self._tasks) < self._options.cores:
            now = time.monotonic()
            moments += [job.next_start(now) for job in self._jobs.values()]
        return min(moments, default=math.inf)

    @property
    def _scratch(self) -> Path:
        return self._folder / "scratch"


def _waiting(row: TaskRow) -> TaskRow:
    return TaskRow(row.job_id, row.position, TaskState.PENDING, row.retry, row.exit_code if row.retry else None)
