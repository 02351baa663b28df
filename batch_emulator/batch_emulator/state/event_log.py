"""Records what happens to jobs and tasks as it happens: events, times, ended operations, notifications."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from batch_emulator.engine.job_store import JobChange, JobObserver, TaskRow
from batch_emulator.engine.jobs import JobState
from batch_emulator.engine.sqlite_file import SqliteFile
from batch_emulator.state.notifications import Notifications

JOB = -1  # in place of a task's position: an event of the job itself


class EventLog(JobObserver):
    """Writes in the transaction of each change, so that the log and the state never disagree.

    ``clean_up`` is called with the uid of a job whose tasks will not run any more.
    """

    def __init__(self, database: SqliteFile, notifications: Notifications, clean_up: Callable[[str], None]) -> None:
        self._database = database
        self._notifications = notifications
        self._clean_up = clean_up

    def job_changed(self, change: JobChange) -> None:
        """Records the event and the times, and ends the operations that waited for this state."""
        is_end = change.after.is_final
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
                self._clean_up(change.uid)
            self._notifications.job_changed(change)

    def tasks_changed(self, rows: Sequence[TaskRow]) -> None:
        """Records one event for each task."""
        now = time.time()
        with self._database.transaction() as connection:
            self._add((t.job_id, t.position, now, t.state, "", t.retry, t.exit_code, t.pid) for t in rows)
            for uid, group in groupby(sorted(rows, key=lambda row: row.job_id), key=lambda row: row.job_id):
                connection.execute("UPDATE batch_jobs SET updated = ? WHERE uid = ?", (now, uid))
                self._notifications.tasks_changed(uid, list(group), now)

    def job_erased(self, job_id: str) -> None:
        """Deletes everything of the job but its operations, which are done."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM batch_events WHERE uid = ?", (job_id,))
            connection.execute("DELETE FROM batch_jobs WHERE uid = ?", (job_id,))
            self._end_operations(job_id, time.time())
            self._clean_up(job_id)

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
