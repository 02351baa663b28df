"""Jobs and tasks in SQLite: what was asked for, and what became of it.

Knows no process, nor what a job's specification means. Any thread or process may read and submit; only the
supervisor records what tasks do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batch_emulator.engine.jobs import JobState, TaskCounts, TaskEnd, TaskState
from batch_emulator.engine.sqlite_file import SqliteFile

_PAGE = 500  # rows; a job may have 100,000 tasks, which no query should hold in memory at once

TABLES = (
    """
    CREATE TABLE jobs (
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL UNIQUE,
        uid TEXT NOT NULL,
        state TEXT NOT NULL,
        has_ended INTEGER NOT NULL DEFAULT 0,
        created REAL NOT NULL,
        detail TEXT NOT NULL DEFAULT '',
        spec BLOB NOT NULL
    ) STRICT
    """,
    "CREATE INDEX jobs_active ON jobs (serial) WHERE NOT has_ended",
    """
    CREATE TABLE tasks (
        job_id TEXT NOT NULL REFERENCES jobs (job_id),
        position INTEGER NOT NULL,
        state TEXT NOT NULL DEFAULT 'pending',
        retry INTEGER NOT NULL DEFAULT 0,
        exit_code INTEGER,
        pid INTEGER,
        pid_created REAL,
        started REAL,
        PRIMARY KEY (job_id, position)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX tasks_by_state ON tasks (job_id, state, position)",
)


@dataclass(frozen=True)
class TaskRow:
    """A task as recorded: ``state`` is a TaskState, ``retry`` counts tries from 0, times are seconds since 1970."""

    job_id: str
    position: int
    state: str
    retry: int
    exit_code: int | None = None
    pid: int | None = None
    pid_created: float | None = None
    started: float | None = None


@dataclass(frozen=True)
class JobRow:
    """A job as recorded; ``created`` in seconds since 1970, ``detail`` a sentence about its state."""

    job_id: str
    uid: str
    state: JobState
    created: float
    detail: str
    spec: bytes


@dataclass(frozen=True)
class JobChange:
    """A job that entered a state; ``before`` is None for a new job, ``moment`` in seconds since 1970."""

    job_id: str
    uid: str
    before: JobState | None
    after: JobState
    moment: float
    detail: str = ""


class JobObserver:
    """Is called for every change, inside the transaction that makes it. This one does nothing.

    So what an observer writes is stored if, and only if, the change is.
    """

    def job_changed(self, change: JobChange) -> None:
        """A job entered a state."""

    def tasks_changed(self, rows: Sequence[TaskRow]) -> None:
        """These tasks are about to be recorded in this form."""

    def job_erased(self, job_id: str) -> None:
        """A job and its tasks were deleted."""


class JobStore:
    """The tables of jobs and tasks, in a file that may hold other tables of the caller's."""

    def __init__(self, database: SqliteFile, observer: JobObserver) -> None:
        self.database = database
        self._observer = observer

    def insert(self, job_id: str, uid: str, spec: bytes, task_count: int) -> None:
        """Adds a queued job, unless there is one of this id."""
        with self.database.transaction() as connection:
            now = time.time()
            added = connection.execute(
                "INSERT INTO jobs (job_id, uid, state, created, spec) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (job_id) DO NOTHING",
                (job_id, uid, JobState.QUEUED, now, spec),
            )
            if not added.rowcount:
                return
            connection.executemany(
                "INSERT INTO tasks (job_id, position) VALUES (?, ?)",
                ((job_id, position) for position in range(task_count)),
            )
            self._observer.job_changed(JobChange(job_id, uid, None, JobState.QUEUED, now))

    def job(self, job_id: str) -> JobRow | None:
        """One job, or None."""
        rows = self.database.rows(
            "SELECT job_id, uid, state, created, detail, spec FROM jobs WHERE job_id = ?", (job_id,)
        )
        return JobRow(**{**dict(rows[0]), "state": JobState(rows[0]["state"])}) if rows else None

    def counts(self, job_id: str) -> TaskCounts:
        """How many tasks are in each state; all zero for a job that does not exist."""
        rows = self.database.rows("SELECT state, count(*) AS n FROM tasks WHERE job_id = ? GROUP BY state", (job_id,))
        return TaskCounts(**{row["state"]: row["n"] for row in rows})

    def failed(self, job_id: str) -> Iterator[TaskEnd]:
        """The tasks that failed or never ran, by position, read page by page."""
        last = -1
        while rows := self.database.rows(
            "SELECT position, exit_code FROM tasks WHERE job_id = ? AND state IN (?, ?) AND position > ?"
            " ORDER BY position LIMIT ?",
            (job_id, TaskState.FAILED, TaskState.NEVER_RAN, last, _PAGE),
        ):
            yield from (TaskEnd(row["position"], row["exit_code"]) for row in rows)
            last = rows[-1]["position"]

    def active(self) -> list[tuple[str, JobState]]:
        """The jobs that have not ended, in the order of their submission."""
        rows = self.database.rows("SELECT job_id, state FROM jobs WHERE NOT has_ended ORDER BY serial")
        return [(row["job_id"], JobState(row["state"])) for row in rows]

    def tasks(self, job_id: str, state: TaskState) -> list[TaskRow]:
        """All tasks of a job in one state, by position."""
        rows = self.database.rows(
            "SELECT * FROM tasks WHERE job_id = ? AND state = ? ORDER BY position", (job_id, state)
        )
        return [TaskRow(**dict(row)) for row in rows]

    def task(self, job_id: str, position: int) -> TaskRow | None:
        """One task, or None."""
        rows = self.database.rows("SELECT * FROM tasks WHERE job_id = ? AND position = ?", (job_id, position))
        return TaskRow(**dict(rows[0])) if rows else None

    def record(self, tasks: Sequence[TaskRow]) -> None:
        """Replaces what is stored of these tasks."""
        if not tasks:
            return
        with self.database.transaction() as connection:
            self._observer.tasks_changed(tasks)
            connection.executemany(
                "UPDATE tasks SET state = ?, retry = ?, exit_code = ?, pid = ?, pid_created = ?, started = ?"
                " WHERE job_id = ? AND position = ?",
                ((t.state, t.retry, t.exit_code, t.pid, t.pid_created, t.started, t.job_id, t.position) for t in tasks),
            )

    def abandon(self, job_id: str) -> None:
        """Gives up the tasks that still wait: failed if an earlier try failed, else never run."""
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE tasks SET state = CASE WHEN exit_code IS NULL THEN ? ELSE ? END WHERE job_id = ? AND state = ?",
                (TaskState.NEVER_RAN, TaskState.FAILED, job_id, TaskState.PENDING),
            )

    def move(self, job_id: str, before: Sequence[JobState], after: JobState, detail: str = "") -> bool:
        """Moves a job from one of these states to another; False if it is in none of them."""
        with self.database.transaction() as connection:
            # Read inside the transaction: another process may cancel the job at this moment.
            job = connection.execute("SELECT uid, state FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
            if job is None or job["state"] not in before:
                return False
            connection.execute(
                "UPDATE jobs SET state = ?, has_ended = ?, detail = ? WHERE job_id = ?",
                (after, after.is_final, detail, job_id),
            )
            now = time.time()
            self._observer.job_changed(JobChange(job_id, job["uid"], JobState(job["state"]), after, now, detail))
        return True

    def erase(self, job_id: str) -> None:
        """Deletes a job and its tasks; none of them may be running."""
        with self.database.transaction() as connection:
            # Tasks first, because they reference their job.
            connection.execute("DELETE FROM tasks WHERE job_id = ?", (job_id,))
            connection.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,))
            self._observer.job_erased(job_id)
