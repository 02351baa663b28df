"""Which notifications a job asks for, and what they contain. They go to the outbox as changes are recorded.

As with Batch, the attributes carry everything. The text in the data is known from published samples only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from batch_emulator.engine.faults import Faults, FaultyDelivery
from batch_emulator.engine.job_store import JobChange, TaskRow
from batch_emulator.engine.jobs import TaskState
from batch_emulator.engine.sqlite_file import SqliteFile
from batch_emulator.options import Notification
from batch_emulator.protocol.messages import Job, JobNotification, JobStatus, TaskStatus
from batch_emulator.protocol.resources import TASK_GROUP, task_uid
from batch_emulator.protocol.task_states import TASK_STATES
from batch_emulator.state.outbox import Outbox

_CACHED = 1024  # jobs whose notification settings are not parsed again for each change


@dataclass(frozen=True)
class _Settings:
    """The notifications that a job asks for, and the faults of their delivery."""

    name: str
    uid: str
    notifications: Sequence[Any]
    delivery: FaultyDelivery

    def topics_for_jobs(self, state: str) -> Iterator[str]:
        for notification in self.notifications:
            message = notification.message
            is_for_jobs = message.type_ == JobNotification.JOB_STATE_CHANGED or message.new_job_state
            if is_for_jobs and message.new_job_state in {0, JobStatus.State.Value(state)}:
                yield notification.pubsub_topic

    def topics_for_tasks(self, state: str) -> Iterator[str]:
        for notification in self.notifications:
            message = notification.message
            is_for_tasks = message.type_ == JobNotification.TASK_STATE_CHANGED or message.new_task_state
            if is_for_tasks and message.new_task_state in {0, TaskStatus.State.Value(state)}:
                yield notification.pubsub_topic


class Notifications:
    """Puts notifications into the outbox, in the transaction of the change that they are about."""

    def __init__(self, database: SqliteFile, outbox: Outbox, faults_of: Callable[[Any], Faults]) -> None:
        self._database = database
        self._outbox = outbox
        self._faults_of = faults_of
        # Parsing the job for each change of each of its tasks would cost more than the change itself.
        self._settings = lru_cache(_CACHED)(self._load)

    def job_changed(self, change: JobChange) -> None:
        """Sends JOB_STATE_CHANGED to the topics that ask for this state."""
        settings = self._settings(change.uid)
        state = str(change.after)
        attributes = {
            "Type": "JOB_STATE_CHANGED",
            "JobName": settings.name,
            "JobUID": settings.uid,
            "NewJobState": state,
        }
        text = _text(f"Job state was updated: jobUID={settings.uid}", change.before or "", state, change.moment)
        for topic in settings.topics_for_jobs(state):
            self._send(settings.delivery, topic, attributes, text)

    def tasks_changed(self, uid: str, rows: Sequence[TaskRow], now: float) -> None:
        """Sends TASK_STATE_CHANGED to the topics that ask for these states."""
        settings = self._settings(uid)
        for row in rows if settings.notifications else ():
            state = TASK_STATES[row.state]
            before = TASK_STATES[TaskState.PENDING if row.state == TaskState.RUNNING else TaskState.RUNNING]
            own = task_uid(uid, row.position)
            attributes = {
                "Type": "TASK_STATE_CHANGED",
                "TaskName": f"{settings.name}/taskGroups/{TASK_GROUP}/tasks/{row.position}",
                "TaskUID": own,
                "JobUID": uid,
                "NewTaskState": state,
            }
            text = _text(f"Task state was updated: taskUID={own}", before, state, now)
            for topic in settings.topics_for_tasks(state):
                self._send(settings.delivery, topic, attributes, text)

    def _send(self, delivery: FaultyDelivery, topic: str, attributes: Mapping[str, str], text: str) -> None:
        self._outbox.put(Notification(topic, attributes, text.encode()), delivery.delays())

    def _load(self, uid: str) -> _Settings:
        ((spec,),) = self._database.rows("SELECT spec FROM jobs WHERE job_id = ?", (uid,))
        job = Job.FromString(spec)
        job_id = job.name.rsplit("/", 1)[-1]
        delivery = FaultyDelivery(self._faults_of(job).of_delivery(job_id))
        wanted = [notification for notification in job.notifications if notification.pubsub_topic]
        return _Settings(job.name, uid, wanted, delivery)


def _text(what: str, before: str, after: str, moment: float) -> str:
    time = datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return f"{what}, previousState={before}, currentState={after}, timestamp={time}"
