"""epydrop's job service on one machine: an adapter over the emulator's engine, which runs tasks as processes."""

from __future__ import annotations

import json
import platform
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime

from batch_emulator.engine import jobs as engine
from batch_emulator.engine.fork_launcher import ForkLauncher
from batch_emulator.engine.job_store import JobChange, JobObserver, JobStore
from batch_emulator.engine.launchers import Launcher, SpawnLauncher
from batch_emulator.engine.options import base_environment
from batch_emulator.engine.supervisor import Supervisor
from batch_emulator.engine.supervisor_lock import SupervisorLock
from batch_emulator.engine.work import Retries, Work
from epydrop.core.jobs import JobSpec, JobState, JobView, TaskCounts, TaskEnd
from epydrop.errors import BadInput
from epydrop.formats import names
from epydrop.formats.serialization import from_document, to_document
from epydrop_workstation.local.database import Database
from epydrop_workstation.local.engine_errors import translated_errors
from epydrop_workstation.local.envelopes import Envelope, job_envelope
from epydrop_workstation.local.options import LocalOptions

STAGES_MODULE = "epydrop_stages"

_JOB_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


class LocalJobService:
    """The JobService port, with ``run_tasks``, which does the work, and a few queries for people at this machine.

    Any thread or process may submit, look and cancel. ``run_tasks`` and ``close`` belong to one thread of one
    process per ROOT, which holds a lock from the first ``run_tasks`` until ``close``.
    """

    def __init__(
        self,
        database: Database,
        *,
        emit: Callable[[Envelope], None] | None = None,
        options: LocalOptions | None = None,
        launcher: Launcher | None = None,
    ) -> None:
        options = options or LocalOptions()
        self._store = JobStore(database, _Notifier(emit) if emit else JobObserver())
        self._lock = SupervisorLock(database.folder / "supervisor.lock")
        self._launcher = launcher or default_launcher()
        self._options = replace(options, env={**base_environment(), **options.env})
        self._supervisor = Supervisor(self._store, self._launcher, self._options, database.folder, self._work_of)
        self._holds_lock = False

    # -- the port ------------------------------------------------------------------------------

    def submit(self, spec: JobSpec) -> JobView:
        """Creates the job, or returns the existing one. Raises BadInput, RetryableError."""
        _check(spec)
        # Not the job id: Batch's uids differ from it, and code that confuses them should fail here, too.
        uid = f"{spec.job_id}-{uuid.uuid4().hex[:8]}"
        self._store.insert(spec.job_id, uid, _stored_spec(spec), spec.task_count)
        view = self.get(spec.job_id)
        if view is None:
            raise RuntimeError(f"job {spec.job_id} was stored and cannot be found")
        if view.labels != spec.labels:
            raise BadInput(f"job {spec.job_id} exists with other labels: {view.labels}, asked for {spec.labels}")
        return view

    def get(self, job_id: str) -> JobView | None:
        """The job as it is now, or None if there is none."""
        job = self._store.job(job_id)
        if job is None:
            return None
        return JobView(
            job_id=job_id,
            uid=job.uid,
            state=JobState(job.state),
            created=datetime.fromtimestamp(job.created, UTC),
            counts=self.progress(job_id),
            labels=dict(json.loads(job.spec)["labels"]),
            detail=job.detail,
        )

    def cancel(self, job_id: str) -> None:
        """Requests the end of a job; ``run_tasks`` carries it out."""
        self._store.move(
            job_id, engine.LIVE_STATES, engine.JobState.CANCELLATION_IN_PROGRESS, "cancellation was requested"
        )

    def failed_tasks(self, job_id: str) -> Iterator[TaskEnd]:
        """The tasks that failed or never ran, page by page; nothing for a job that does not exist.

        A task that was ended by a cancellation has no exit code.
        """
        return (TaskEnd(end.position, end.exit_code) for end in self._store.failed(job_id))

    # -- running tasks -------------------------------------------------------------------------

    def run_tasks(self, timeout: float) -> bool:
        """Starts, watches and ends tasks; True once something changed, False after ``timeout`` seconds.

        Raises RetryableError if another process runs the tasks of this ROOT, or no process can be started;
        ConfigurationError if the tasks' code cannot be imported.
        """
        with translated_errors():
            if not self._holds_lock:
                self._launcher.open(self._lock.take())
                self._holds_lock = True
                self._supervisor.recover()
            return self._supervisor.step(timeout)

    def run_only_tasks_of(self, run_id: str) -> None:
        """From now on ``run_tasks`` leaves the jobs of all other runs alone."""

        def is_wanted(job_id: str) -> bool:
            name = names.parse_job_id(job_id)
            return name is not None and name.run_id == run_id

        self._supervisor.is_wanted = is_wanted

    def close(self) -> None:
        """Ends every task; unfinished ones wait for the next service, without loss of a retry."""
        if self._holds_lock:
            self._supervisor.close()
            self._lock.release()
            self._holds_lock = False

    # -- queries -------------------------------------------------------------------------------

    def progress(self, job_id: str) -> TaskCounts:
        """How many of a job's tasks are in each state; all zero for a job that does not exist."""
        return TaskCounts(**asdict(self._store.counts(job_id)))

    def running(self, job_id: str) -> list[tuple[int, int, float]]:
        """(position, process id, start in seconds since 1970) of each running task."""
        rows = self._store.tasks(job_id, engine.TaskState.RUNNING)
        return [(row.position, row.pid or 0, row.started or 0.0) for row in rows]

    def _work_of(self, job_id: str) -> Work:
        """What the job is to do. Raises UnknownFormat if another version of epydrop submitted it."""
        job = self._store.job(job_id)
        if job is None:
            raise RuntimeError(f"job {job_id} does not exist")
        spec = from_document(JobSpec, json.loads(job.spec), f"job {job_id}")
        return Work(
            job_id=spec.job_id,
            task_count=spec.task_count,
            parallelism=spec.parallelism,
            command=spec.command,
            # The stages share the machine's cores; the output stage, which has one task, uses them all.
            env={**self._options.stage_env(job_id), **spec.env, "EPYDROP_CORES": str(self._options.cores)},
            memory_mib=spec.resources.memory_mib,
            max_run_duration=spec.resources.max_run_duration,
            retries=Retries(spec.max_task_retries, frozenset(spec.retried_exit_codes)),
            faults=self._options.faults,
        )


class _Notifier(JobObserver):
    """Sends a notification for every change of a job's state, as Batch does."""

    def __init__(self, emit: Callable[[Envelope], None]) -> None:
        self._emit = emit

    def job_changed(self, change: JobChange) -> None:
        """Emits the envelope inside the transaction: it is queued if, and only if, the new state is stored."""
        moment = datetime.fromtimestamp(change.moment, UTC)
        self._emit(job_envelope(change.job_id, change.uid, JobState(change.after), moment))


def default_launcher() -> Launcher:
    """A fork server on Linux; elsewhere new processes, since macOS's own libraries do not survive a fork."""
    if platform.system() == "Linux":
        return ForkLauncher(STAGES_MODULE, base_environment())
    return SpawnLauncher()


def _check(spec: JobSpec) -> None:
    """Raises BadInput for what Batch would reject too."""
    resources = spec.resources
    checks = {
        f"job id {spec.job_id!r}; expected at most 63 of a-z, 0-9 and '-'": not _JOB_ID.fullmatch(spec.job_id),
        f"{spec.task_count} tasks; expected 1 to {names.MAX_TASKS}": not 0 < spec.task_count <= names.MAX_TASKS,
        f"parallelism {spec.parallelism}; expected at least 1": spec.parallelism < 1,
        "no command": not spec.command,
        f"{resources.memory_mib} MiB of memory; expected at least 1": resources.memory_mib < 1,
        f"max_run_duration {resources.max_run_duration} s; expected at least 1": resources.max_run_duration < 1,
        f"{spec.max_task_retries} retries; expected 0 to 10": not 0 <= spec.max_task_retries <= 10,
    }
    problems = [f"job {spec.job_id} was refused: {problem}" for problem, is_wrong in checks.items() if is_wrong]
    if problems:
        raise BadInput(*problems)


def _stored_spec(spec: JobSpec) -> bytes:
    return json.dumps({"format": 1, **to_document(spec)}, sort_keys=True).encode()
