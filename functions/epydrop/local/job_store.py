"""Jobs and tasks in SQLite: what was asked for, and what became of it. Every change of a job's state is announced.

Knows no process; any thread or process may read and ask, only the supervisor writes what tasks do.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from epydrop.documents import from_document, to_document
from epydrop.jobs import JobSpec, JobState, JobView, TaskCounts, TaskEnd
from epydrop.local.database import Database
from epydrop.local.envelopes import Envelope, job_envelope

_PAGE = 500

PENDING = "pending"
RUNNING = "running"
SUCCEEDED = "succeeded"
FAILED = "failed"
NEVER_RAN = "never_ran"


@dataclass(frozen=True)
class TaskRow:
    """A task as recorded. ``retry`` counts its tries from 0; times are seconds since 1970."""

    job_id: str
    position: int
    state: str
    retry: int
    exit_code: int | None = None
    pid: int | None = None
    pid_created: float | None = None
    started: float | None = None


class JobStore:
    """The tables of jobs and tasks. ``emit`` is called inside the transaction that changes a job's state."""

    def __init__(self, database: Database, emit: Callable[[Envelope], None] | None) -> None:
        self.database = database
        self._emit = emit

    def insert(self, spec: JobSpec) -> None:
        """Adds a job that waits, unless there is one of that id."""
        with self.database.transaction() as connection:
            uid = f"{spec.job_id}-{uuid.uuid4().hex[:8]}"
            now = datetime.now(UTC)
            added = connection.execute(
                "INSERT INTO jobs (job_id, uid, state, created, spec) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (job_id) DO NOTHING",
                (spec.job_id, uid, JobState.QUEUED, now.timestamp(), _spec_text(spec)),
            )
            if not added.rowcount:
                return
            connection.executemany(
                "INSERT INTO tasks (job_id, position) VALUES (?, ?)",
                ((spec.job_id, position) for position in range(spec.task_count)),
            )
            self._announce(spec.job_id, uid, JobState.QUEUED, now)

    def view(self, job_id: str) -> JobView | None:
        """The job as it is now, or None."""
        rows = self.database.rows("SELECT * FROM jobs WHERE job_id = ?", (job_id,))
        if not rows:
            return None
        job = rows[0]
        return JobView(
            job_id=job_id,
            uid=job["uid"],
            state=JobState(job["state"]),
            created=datetime.fromtimestamp(job["created"], UTC),
            counts=self.counts(job_id),
            labels=dict(json.loads(job["spec"])["labels"]),
            detail=job["detail"],
        )

    def counts(self, job_id: str) -> TaskCounts:
        """How many tasks are in each state."""
        rows = self.database.rows("SELECT state, count(*) AS n FROM tasks WHERE job_id = ? GROUP BY state", (job_id,))
        return TaskCounts(**{row["state"]: row["n"] for row in rows})

    def spec(self, job_id: str) -> JobSpec:
        """What was asked for. Raises UnknownFormat when another version of epydrop asked for it."""
        (row,) = self.database.rows("SELECT spec FROM jobs WHERE job_id = ?", (job_id,))
        return from_document(JobSpec, json.loads(row["spec"]), f"job {job_id}")

    def failed(self, job_id: str) -> Iterator[TaskEnd]:
        """The tasks that ended without success or never ran, in order, page by page."""
        last = -1
        while rows := self.database.rows(
            "SELECT position, exit_code FROM tasks WHERE job_id = ? AND state IN (?, ?) AND position > ?"
            " ORDER BY position LIMIT ?",
            (job_id, FAILED, NEVER_RAN, last, _PAGE),
        ):
            yield from (TaskEnd(row["position"], row["exit_code"]) for row in rows)
            last = rows[-1]["position"]

    def active(self) -> list[tuple[str, JobState]]:
        """The jobs that have not ended, in the order of their submission."""
        rows = self.database.rows("SELECT job_id, state FROM jobs WHERE NOT has_ended ORDER BY serial")
        return [(row["job_id"], JobState(row["state"])) for row in rows]

    def tasks(self, job_id: str, state: str) -> list[TaskRow]:
        """All tasks of a job in one state, in order."""
        rows = self.database.rows(
            "SELECT * FROM tasks WHERE job_id = ? AND state = ? ORDER BY position", (job_id, state)
        )
        return [TaskRow(**dict(row)) for row in rows]

    def task(self, job_id: str, position: int) -> TaskRow | None:
        """One task, or None."""
        rows = self.database.rows("SELECT * FROM tasks WHERE job_id = ? AND position = ?", (job_id, position))
        return TaskRow(**dict(rows[0])) if rows else None

    def record(self, tasks: Iterable[TaskRow]) -> None:
        """Replaces what is known of these tasks."""
        with self.database.transaction() as connection:
            connection.executemany(
                "UPDATE tasks SET state = ?, retry = ?, exit_code = ?, pid = ?, pid_created = ?, started = ?"
                " WHERE job_id = ? AND position = ?",
                ((t.state, t.retry, t.exit_code, t.pid, t.pid_created, t.started, t.job_id, t.position) for t in tasks),
            )

    def abandon(self, job_id: str) -> None:
        """The tasks that still wait will not run: failed where a try failed before, else never ran."""
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE tasks SET state = CASE WHEN exit_code IS NULL THEN ? ELSE ? END WHERE job_id = ? AND state = ?",
                (NEVER_RAN, FAILED, job_id, PENDING),
            )

    def move(self, job_id: str, before: list[JobState], after: JobState, detail: str = "") -> bool:
        """Moves a job from one of these states to another and announces it; False when it was in none of them."""
        with self.database.transaction() as connection:
            row = connection.execute(
                "UPDATE jobs SET state = ?, has_ended = ?, detail = ? WHERE job_id = ?"
                " AND state IN (SELECT value FROM json_each(?)) RETURNING uid",
                (after, after.is_ended, detail, job_id, json.dumps(before)),
            ).fetchone()
            if row:
                self._announce(job_id, row["uid"], after, datetime.now(UTC))
        return row is not None

    def _announce(self, job_id: str, uid: str, state: JobState, now: datetime) -> None:
        if self._emit:
            self._emit(job_envelope(job_id, uid, state, now))


def _spec_text(spec: JobSpec) -> bytes:
    return json.dumps({"format": 1, **to_document(spec)}, sort_keys=True).encode()
