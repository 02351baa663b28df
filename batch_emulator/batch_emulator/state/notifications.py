"""Which notifications a job asks for, and what they say: put into the queue as its changes are recorded.

Batch's own carry all in attributes; the words of their data are for people, and known from samples only.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from batch_emulator.api.resources import TASK_GROUP, task_uid
from batch_emulator.engine.job_store import PENDING, RUNNING, JobChange, TaskRow
from batch_emulator.fault_plans import Mischief
from batch_emulator.messages import Job, JobNotification, JobStatus, TaskStatus
from batch_emulator.rules.states import TASK_STATES
from epydrop_workstation.local.database import Database
from epydrop_workstation.local.envelopes import rfc3339
from epydrop_workstation.local.event_queue import SqliteEventQueue

_REMEMBERED = 1024  # jobs whose wishes are not read again for each change


@dataclass(frozen=True)
class _Wishes:
    """The notifications that a job asks for, and the queue that treats them as its mischief says."""

    name: str
    uid: str
    notifications: Sequence[Any]
    queue: SqliteEventQueue

    def topics_for_jobs(self, state: str) -> Iterator[str]:
        for notification in self.notifications:
            message = notification.message
            is_of_jobs = message.type_ == JobNotification.JOB_STATE_CHANGED or message.new_job_state
            if is_of_jobs and message.new_job_state in {0, JobStatus.State.Value(state)}:
                yield notification.pubsub_topic

    def topics_for_tasks(self, state: str) -> Iterator[str]:
        for notification in self.notifications:
            message = notification.message
            is_of_tasks = message.type_ == JobNotification.TASK_STATE_CHANGED or message.new_task_state
            if is_of_tasks and message.new_task_state in {0, TaskStatus.State.Value(state)}:
                yield notification.pubsub_topic


class Notices:
    """To be called inside the transaction of the change. ``ring`` is called when something was put into the queue."""

    def __init__(self, database: Database, mischief_of: Callable[[Any], Mischief], ring: Callable[[], None]) -> None:
        self._database = database
        self._mischief_of = mischief_of
        self._ring = ring
        self._wishes = lru_cache(_REMEMBERED)(self._load)

    def job_changed(self, change: JobChange) -> None:
        """Sends JOB_STATE_CHANGED to the topics that want it."""
        wishes = self._wishes(change.uid)
        state = str(change.after)
        attributes = {
            "Type": "JOB_STATE_CHANGED",
            "JobName": wishes.name,
            "JobUID": wishes.uid,
            "NewJobState": state,
        }
        words = _words(f"Job state was updated: jobUID={wishes.uid}", change.before or "", state, change.moment)
        for topic in wishes.topics_for_jobs(state):
            self._send(wishes.queue, topic, attributes, words)

    def tasks_changed(self, uid: str, rows: Sequence[TaskRow], now: float) -> None:
        """Sends TASK_STATE_CHANGED to the topics that want it."""
        wishes = self._wishes(uid)
        for row in rows if wishes.notifications else ():
            state = TASK_STATES[row.state]
            before = TASK_STATES[PENDING if row.state == RUNNING else RUNNING]
            own = task_uid(uid, row.position)
            attributes = {
                "Type": "TASK_STATE_CHANGED",
                "TaskName": f"{wishes.name}/taskGroups/{TASK_GROUP}/tasks/{row.position}",
                "TaskUID": own,
                "JobUID": uid,
                "NewTaskState": state,
            }
            words = _words(f"Task state was updated: taskUID={own}", before, state, now)
            for topic in wishes.topics_for_tasks(state):
                self._send(wishes.queue, topic, attributes, words)

    def _send(self, queue: SqliteEventQueue, topic: str, attributes: Mapping[str, str], words: str) -> None:
        data = base64.b64encode(words.encode()).decode()
        queue.put({"topic": topic, "attributes": dict(attributes), "data": data})
        self._ring()

    def _load(self, uid: str) -> _Wishes:
        ((spec,),) = self._database.rows("SELECT spec FROM jobs WHERE job_id = ?", (uid,))
        job = Job.FromString(spec)
        job_id = job.name.rsplit("/", 1)[-1]
        queue = SqliteEventQueue(self._database, self._mischief_of(job).post(job_id))
        wanted = [notification for notification in job.notifications if notification.pubsub_topic]
        return _Wishes(job.name, uid, wanted, queue)


def _words(what: str, before: str, after: str, moment: float) -> str:
    time = rfc3339(datetime.fromtimestamp(moment, UTC))
    return f"{what}, previousState={before}, currentState={after}, timestamp={time}"
