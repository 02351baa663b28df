"""Cloud Batch: queues, machines, preemption, notifications, and jobs that are stuck, idle or meddled with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from epydrop.core.jobs import RETRIED_BY_BATCH, JobSpec, JobState, JobView, TaskCounts, TaskEnd, TaskExit
from epydrop.errors import BadInput, ExitCode
from epydrop.formats.names import Stage
from epydrop.formats.orders import Orders
from simulation import stages
from simulation.faults import Faults
from simulation.stores import MemoryObjects
from simulation.timeline import Timeline, moment_of

# The exit code of a task that each fault ends, and the seconds that it lasts until then.
FAULTY_ENDS = {
    "preempted": (TaskExit.PREEMPTED, 60),
    "machine lost": (TaskExit.REPORTING_TIMEOUT, 600),
    "task hung": (ExitCode.TRY_AGAIN, 900),
    "out of memory": (ExitCode.OUT_OF_MEMORY, 60),
    "task failed": (ExitCode.BUG, 30),
    "timed out": (TaskExit.TIMED_OUT, 1200),
}


@dataclass(eq=False)
class Job:
    """A job: ``ends`` has the exit code of each task that ended, None for one that never ran."""

    spec: JobSpec
    orders: Orders
    store: MemoryObjects
    created: float
    uid: str
    state: JobState = JobState.QUEUED
    ended: float = 0.0  # when it entered its state, the last one once it has ended
    running: dict[int, int] = field(default_factory=dict)  # position -> the number of its try
    ends: dict[int, int | None] = field(default_factory=dict)
    past: list[tuple[float, JobView]] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        """Whether a task may still run."""
        return not self.state.is_ended

    @property
    def is_at_work(self) -> bool:
        """Whether the job is live, and nobody is ending it."""
        return self.is_live and self.state not in (JobState.CANCELLATION_IN_PROGRESS, JobState.DELETION_IN_PROGRESS)

    def view(self) -> JobView:
        """The job as the service shows it."""
        codes = list(self.ends.values())
        succeeded, never_ran = codes.count(0), codes.count(None)
        counts = TaskCounts(
            pending=self.spec.task_count - len(codes) - len(self.running),
            running=len(self.running),
            succeeded=succeeded,
            failed=len(codes) - succeeded - never_ran,
            never_ran=never_ran,
        )
        job_id = self.spec.job_id
        return JobView(job_id, self.uid, self.state, moment_of(self.created), counts, self.spec.labels)


class Batch:
    """The JobService port. ``notify`` gets each change of a job's state; ``on_created`` sees each new job."""

    def __init__(
        self,
        timeline: Timeline,
        faults: Faults,
        seed: int,
        open_bare: Callable[[str], MemoryObjects],
        notify: Callable[[Job], None],
        on_created: Callable[[Job], None],
        tasks: int,
    ) -> None:
        self.jobs: dict[str, Job] = {}
        self._tries = itertools.count(1)
        self._timeline = timeline
        self._faults = faults
        self._random = Random(f"{seed}/batch")
        self._open = open_bare
        self._notify = notify
        self._on_created = on_created
        self._tasks = tasks

    # -- the port --------------------------------------------------------------------------------

    def submit(self, spec: JobSpec) -> JobView:
        there = self.jobs.get(spec.job_id)
        if there is not None:
            if there.spec.labels != spec.labels:
                raise BadInput(f"job {spec.job_id} exists with other labels")
            return there.view()
        store = self._open(spec.env["EPYDROP_RUN_URL"])
        job = Job(spec, stages.orders_of(spec, store), store, self._timeline.now, f"uid-{next(self._tries)}")
        self._on_created(job)
        self.jobs[spec.job_id] = job
        self._changed(job)
        self._later(5, 90, lambda: self._schedule(job))
        return job.view()

    def get(self, job_id: str) -> JobView | None:
        job = self.jobs.get(job_id)
        if job is None:
            return None
        if self._faults.strikes("lagging read"):
            seen_at = self._timeline.now - self._faults.amount("lagging read", 0, 60)
            return next((view for at, view in reversed(job.past) if at <= seen_at), None)
        return job.view()

    def cancel(self, job_id: str) -> None:
        job = self.jobs.get(job_id)
        if job is not None and job.is_at_work:
            self._enter(job, JobState.CANCELLATION_IN_PROGRESS)
            self._later(5, 200, lambda: self._end_cancelled(job))

    def failed_tasks(self, job_id: str) -> Iterator[TaskEnd]:
        job = self.jobs.get(job_id)
        for position, code in sorted(job.ends.items() if job else ()):
            if code != 0:
                yield TaskEnd(position, code)

    # -- the life of a job -----------------------------------------------------------------------

    def restart_tasks(self) -> None:
        """The tasks that run now begin again: whatever they had computed is lost."""
        for job in self.jobs.values():
            for position in sorted(job.running):
                self._begin(job, position, 0)

    def _schedule(self, job: Job) -> None:
        if not job.is_at_work or self._faults.strikes("job stuck"):
            return
        self._enter(job, JobState.SCHEDULED)
        self._later(10, 120, lambda: self._start(job))

    def _start(self, job: Job) -> None:
        if not job.is_at_work:
            return
        if self._faults.strikes("never ran"):
            job.ends = dict.fromkeys(range(job.spec.task_count))
            self._enter(job, JobState.FAILED)
            return
        self._enter(job, JobState.RUNNING)
        meddling = self._faults.first_of("job deleted", "job cancelled")
        if meddling:
            self._later(10, 300, lambda: self._meddle(job, meddling))
        if not self._faults.strikes("job idle"):
            for position in range(job.spec.task_count):
                self._begin(job, position, 0)

    def _begin(self, job: Job, position: int, retry: int) -> None:
        if job.state is not JobState.RUNNING:
            return
        number = job.running[position] = next(self._tries)
        fault = self._faults.first_of(*FAULTY_ENDS)
        if job.orders.stage is Stage.BUILDER and not fault and self._faults.strikes("bad input"):
            code, seconds = int(ExitCode.BAD_INPUT), 20
        else:
            code, seconds = FAULTY_ENDS.get(fault, (0, 0))
        self._later(20 + seconds, 200 + seconds, lambda: self._end_try(job, position, number, retry, int(code)))

    def _end_try(self, job: Job, position: int, number: int, retry: int, code: int) -> None:
        if job.state is not JobState.RUNNING or job.running.get(position) != number:
            return
        index = job.orders.indices.nth(position)
        if code == 0:
            code = stages.work(job.orders, index, retry, job.store, self._tasks, self._faults)
        if code and code < TaskExit.UNKNOWN and code != ExitCode.OUT_OF_MEMORY:
            stages.leave_error(job.orders, index, retry, code, job.store)
        del job.running[position]
        if code in RETRIED_BY_BATCH and retry < job.spec.max_task_retries:
            self._later(20, 120, lambda: self._begin(job, position, retry + 1))
            return
        job.ends[position] = code
        if len(job.ends) == job.spec.task_count:
            self._enter(job, JobState.FAILED if any(job.ends.values()) else JobState.SUCCEEDED)

    def _end_cancelled(self, job: Job) -> None:
        if not job.is_live:
            return
        for position in range(job.spec.task_count):
            # A task that was about to end may still leave its result.
            if position in job.running and self._random.random() < 0.3:
                index = job.orders.indices.nth(position)
                stages.work(job.orders, index, 0, job.store, self._tasks, self._faults)
            job.ends.setdefault(position, None)
        job.running.clear()
        self._enter(job, JobState.CANCELLED)

    def _meddle(self, job: Job, how: str) -> None:
        """Somebody cancels or deletes the job in Batch."""
        if not job.is_at_work:
            return
        if how == "job cancelled":
            self._end_cancelled(job)
        else:
            self._enter(job, JobState.DELETION_IN_PROGRESS)
            self._later(5, 60, lambda: self.jobs.pop(job.spec.job_id, None))

    def _enter(self, job: Job, state: JobState) -> None:
        job.state, job.ended = state, self._timeline.now
        self._changed(job)
        self._notify(job)

    def _changed(self, job: Job) -> None:
        job.past.append((self._timeline.now, job.view()))

    def _later(self, low: float, high: float, action: Callable[[], None]) -> None:
        self._timeline.after(self._random.uniform(low, high), action)
