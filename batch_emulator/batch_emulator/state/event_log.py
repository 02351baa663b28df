"""What becomes of jobs and tasks, written down while it happens: events, times, ended operations, notifications."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from batch_emulator.engine.job_store import JobChange, TaskRow, Witness
from batch_emulator.state.notifications import Notices
from epydrop.core.jobs import JobState
from epydrop_workstation.local.database import Database

JOB = -1  # the position of the events of the job itself


class Chronicle(Witness):
    """Writes in the transaction of each change, so that nothing is told that is not so.

    ``clear`` is called with the uid of a job whose tasks will not run any more.
    """

    def __init__(self, database: Database, notices: Notices, clear: Callable[[str], None]) -> None:
        self._database = database
        self._notices = notices
        self._clear = clear

    def job_changed(self, change: JobChange) -> None:
        """The event, the times, and the end of the operations that waited for this state."""
        is_end = change.after.is_ended
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE batch_jobs SET updated = :now,"
                " run_began = CASE WHEN :is_running THEN :now ELSE run_began END,"
                " run_ended = CASE WHEN :is_end AND run_began IS NOT NULL THEN :now ELSE run_ended END"
                " WHERE uid = :uid",
                {
                    "now": change.moment,
                    "is_running": change.after is JobState.RUNNING,
                    "is_end": is_end,
                    "uid": change.uid,
                },
            )
            if change.before is not None:
                self._add([(change.uid, JOB, change.moment, change.after, change.before, 0, None, None)])
            if is_end:
                self._end_operations(change.uid, change.moment)
                self._clear(change.uid)
            self._notices.job_changed(change)

    def tasks_changed(self, rows: Sequence[TaskRow]) -> None:
        """One event for each."""
        now = time.time()
        with self._database.transaction() as connection:
            self._add((t.job_id, t.position, now, t.state, "", t.retry, t.exit_code, t.pid) for t in rows)
            for uid, group in groupby(sorted(rows, key=lambda row: row.job_id), key=lambda row: row.job_id):
                connection.execute("UPDATE batch_jobs SET updated = ? WHERE uid = ?", (now, uid))
                self._notices.tasks_changed(uid, list(group), now)

    def job_erased(self, job_id: str) -> None:
        """Nothing of the job is left but its operations, which are done."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM batch_events WHERE uid = ?", (job_id,))
            connection.execute("DELETE FROM batch_jobs WHERE uid = ?", (job_id,))
            self._end_operations(job_id, time.time())
            self._clear(job_id)

    def _add(self, events: Iterable[tuple[object, ...]]) -> None:
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO batch_events (uid, position, moment, state, before, retry, exit_code, pid)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                events,
            )

    def _end_operations(self, uid: str, now: float) -> None:
        with self._database.transaction() as connection:
            connection.execute("UPDATE batch_operations SET ended = ? WHERE uid = ? AND ended IS NULL", (now, uid))
