# ruff: noqa: S608 - only column names and constants of this file are put into queries
"""What the API reads and writes: jobs by name, their events, operations, and request ids."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from batch_emulator.engine.jobs import JobState
from batch_emulator.engine.sqlite_file import SqliteFile
from batch_emulator.protocol.resources import ALL_LOCATIONS, JobName, Location
from batch_emulator.state.event_log import JOB

_PAGE = 200
_REQUESTS_KEPT = 3600.0  # seconds; CreateJobRequest.request_id: at least 60 minutes

_JOBS = (
    "SELECT b.*, j.state, j.detail, j.spec, b.location || '/jobs/' || b.job_id AS place"
    " FROM batch_jobs b JOIN jobs j ON j.job_id = b.uid"
)
# The supported values of order_by: the column, and whether it descends. The uid breaks ties.
ORDERS = {
    "": ("created", True),
    "name": ("place", False),
    "name desc": ("place", True),
    "create_time": ("created", False),
    "create_time desc": ("created", True),
}


@dataclass(frozen=True)
class JobRecord:
    """A job with its name. Times are seconds since 1970; ``place`` is LOCATION/jobs/ID, for ordering by name."""

    uid: str
    name: JobName
    state: JobState
    detail: str  # the engine's sentence about the state
    created: float
    updated: float
    run_began: float | None
    run_ended: float | None
    spec: bytes
    place: str


@dataclass(frozen=True)
class Event:
    """A change of a job (``position`` is JOB) or of one try of a task; ``moment`` in seconds since 1970."""

    position: int
    moment: float
    state: str
    before: str
    retry: int
    exit_code: int | None
    pid: int | None


@dataclass(frozen=True)
class OperationRecord:
    """A long-running operation; done once ``ended`` is set."""

    name: str
    uid: str
    target: str
    verb: str
    began: float
    ended: float | None


class Ledger:
    """Small questions, each answered from an index."""

    def __init__(self, database: SqliteFile) -> None:
        self.database = database

    # -- jobs ----------------------------------------------------------------------------------

    def add_job(self, name: JobName, uid: str) -> bool:
        """Registers a name for a new job; False if the name is taken."""
        now = time.time()
        with self.database.transaction() as connection:
            added = connection.execute(
                "INSERT INTO batch_jobs (uid, project, location, job_id, created, updated) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",  # of two clients that create the same job at once, one wins
                (uid, name.parent.project, name.parent.location, name.job_id, now, now),
            )
        return bool(added.rowcount)

    def job(self, name: JobName) -> JobRecord | None:
        """The job of this name, or None."""
        rows = self.database.rows(
            f"{_JOBS} WHERE b.project = ? AND b.location = ? AND b.job_id = ?",
            (name.parent.project, name.parent.location, name.job_id),
        )
        return _job_record(rows[0]) if rows else None

    def job_of(self, uid: str) -> JobRecord | None:
        """The job of this uid, or None."""
        rows = self.database.rows(f"{_JOBS} WHERE b.uid = ?", (uid,))
        return _job_record(rows[0]) if rows else None

    def jobs(self, parent: Location, order: str, after: Sequence[Any] = ()) -> Iterator[JobRecord]:
        """The jobs of a location, or of all, in one of ORDERS.

        ``after`` is the sort key of the last job seen: the value of the column, and the uid.
        """
        column, descends = ORDERS[order]
        direction, beyond = ("DESC", "<") if descends else ("ASC", ">")
        query = (
            f"SELECT * FROM ({_JOBS}) WHERE project = ? AND (? = '{ALL_LOCATIONS}' OR location = ?)"
            f" AND (? OR ({column}, uid) {beyond} (?, ?)) ORDER BY {column} {direction}, uid {direction} LIMIT {_PAGE}"
        )
        place = (parent.project, parent.location, parent.location)
        last = tuple(after)
        while rows := self.database.rows(query, (*place, not last, *(last or (0, "")))):
            yield from map(_job_record, rows)
            last = (rows[-1][column], rows[-1]["uid"])

    def locations(self, project: str) -> list[str]:
        """The locations in which the project has jobs."""
        rows = self.database.rows(
            "SELECT DISTINCT location FROM batch_jobs WHERE project = ? ORDER BY location", (project,)
        )
        return [row["location"] for row in rows]

    # -- tasks and events ----------------------------------------------------------------------

    def tasks(self, uid: str, states: Sequence[str], first: int, limit: int) -> list[tuple[int, str]]:
        """(position, state) of at most ``limit`` tasks in one of the states, from position ``first`` on."""
        marks = ", ".join("?" * len(states))
        rows = self.database.rows(
            f"SELECT position, state FROM tasks WHERE job_id = ? AND position >= ? AND state IN ({marks})"
            " ORDER BY position LIMIT ?",
            (uid, first, *states, limit),
        )
        return [(row["position"], row["state"]) for row in rows]

    def job_events(self, uid: str) -> list[Event]:
        """The events of the job itself, in their order."""
        return self.task_events(uid, JOB, JOB)

    def task_events(self, uid: str, first: int, last: int) -> list[Event]:
        """The events of the tasks at positions ``first`` to ``last``, by position and in their order."""
        rows = self.database.rows(
            "SELECT position, moment, state, before, retry, exit_code, pid FROM batch_events"
            " WHERE uid = ? AND position BETWEEN ? AND ? ORDER BY position, serial",
            (uid, first, last),
        )
        return [Event(**dict(row)) for row in rows]

    def first_failed(self, uid: str) -> int | None:
        """The position of the first failed task, or None."""
        rows = self.database.rows(
            "SELECT min(position) AS position FROM tasks WHERE job_id = ? AND state = 'failed'", (uid,)
        )
        position: int | None = rows[0]["position"]
        return position

    # -- operations ----------------------------------------------------------------------------

    def add_operation(self, job: JobRecord, verb: str) -> OperationRecord:
        """A new operation on a job."""
        now = time.time()
        parent = job.name.parent
        name = f"{parent}/operations/operation-{int(now * 1000)}-{uuid.uuid4()}"
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO batch_operations VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
                (name, parent.project, parent.location, job.uid, str(job.name), verb, now),
            )
        return OperationRecord(name, job.uid, str(job.name), verb, now, None)

    def operation(self, name: str) -> OperationRecord | None:
        """The operation of this name, or None."""
        rows = self.database.rows(
            "SELECT name, uid, target, verb, began, ended FROM batch_operations WHERE name = ?", (name,)
        )
        return OperationRecord(**dict(rows[0])) if rows else None

    def operations(self, parent: Location, after: str, limit: int) -> list[OperationRecord]:
        """Operations of a location, or of all, by name. Names begin with the time, so that is their age, too."""
        rows = self.database.rows(
            "SELECT name, uid, target, verb, began, ended FROM batch_operations WHERE project = ?"
            f" AND (? = '{ALL_LOCATIONS}' OR location = ?) AND name > ? ORDER BY name LIMIT ?",
            (parent.project, parent.location, parent.location, after, limit),
        )
        return [OperationRecord(**dict(row)) for row in rows]

    def delete_operation(self, name: str) -> None:
        """Deletes the record of an operation."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM batch_operations WHERE name = ?", (name,))

    # -- requests ------------------------------------------------------------------------------

    def result_of(self, request_id: str, verb: str) -> str | None:
        """What an earlier request with this id created: a job's uid or an operation's name."""
        rows = self.database.rows(
            "SELECT result FROM batch_requests WHERE request_id = ? AND verb = ?", (request_id.lower(), verb)
        )
        return str(rows[0]["result"]) if rows else None

    def remember_request(self, request_id: str, verb: str, result: str) -> None:
        """Keeps the result for an hour; does nothing for a request without an id."""
        now = time.time()
        with self.database.transaction() as connection:
            # Expired entries go whenever a new one comes, so that no timer is needed.
            connection.execute("DELETE FROM batch_requests WHERE moment < ?", (now - _REQUESTS_KEPT,))
            if request_id:
                connection.execute(
                    "INSERT OR REPLACE INTO batch_requests VALUES (?, ?, ?, ?)",
                    (request_id.lower(), verb, result, now),
                )


def _job_record(row: Any) -> JobRecord:
    return JobRecord(
        uid=row["uid"],
        name=JobName(Location(row["project"], row["location"]), row["job_id"]),
        state=JobState(row["state"]),
        detail=row["detail"],
        created=row["created"],
        updated=row["updated"],
        run_began=row["run_began"],
        run_ended=row["run_ended"],
        spec=row["spec"],
        place=row["place"],
    )
