"""Array jobs in Cloud Batch, under ids that we choose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from google.api_core.exceptions import BadRequest, Conflict
from google.cloud import batch_v1

from epydrop.core.jobs import JobSpec, JobState, JobView, TaskCounts, TaskEnd
from epydrop.errors import BadInput, ConfigurationError, NotFound, PreconditionFailed, RetryableError
from epydrop.gcp.batch_request import TASK_GROUP, Surroundings, batch_job
from epydrop.google_errors import translated_errors

PAGE = 1000

_COUNTED = {
    "PENDING": "pending",
    "ASSIGNED": "pending",
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "UNEXECUTED": "never_ran",
}


class BatchJobService:
    """The JobService port. ``parent`` is projects/P/locations/R."""

    def __init__(self, client: batch_v1.BatchServiceClient, parent: str, around: Surroundings) -> None:
        self._client = client
        self._parent = parent
        self._around = around

    def submit(self, spec: JobSpec) -> JobView:
        """Creates the job, or returns the one that is there. Raises BadInput, RetryableError."""
        request = {"parent": self._parent, "job_id": spec.job_id, "job": batch_job(spec, self._around)}
        try:
            with translated_errors(f"job {spec.job_id}"):
                return _view(self._client.create_job(request=request))
        except BadRequest as error:
            raise BadInput(f"job {spec.job_id} was refused: {error.message}") from error
        except NotFound as error:
            raise ConfigurationError(
                f"{error}; is there such a project and region, and is the Batch API on?"
            ) from error
        except PreconditionFailed as error:
            if isinstance(error.__cause__, Conflict):  # ALREADY_EXISTS by gRPC, any 409 by REST
                return self._adopted(spec)
            raise RetryableError(str(error)) from error

    def get(self, job_id: str) -> JobView | None:
        """The job as it is now, or None if there is none."""
        try:
            with translated_errors(f"job {job_id}"):
                return _view(self._client.get_job(name=self._name(job_id)))
        except NotFound:
            return None

    def cancel(self, job_id: str) -> None:
        """Asks for the end of a job, and does not wait for it. The job and its history stay."""
        job = self.get(job_id)
        if job is None or job.state.is_ended or job.state is JobState.CANCELLATION_IN_PROGRESS:
            return
        try:
            with translated_errors(f"job {job_id}"):
                self._client.cancel_job(name=self._name(job_id))
        except (NotFound, PreconditionFailed):
            return  # it ended, or somebody deleted it, just now
        except BadRequest as error:
            raise RetryableError(f"job {job_id} could not be cancelled: {error.message}") from error

    def failed_tasks(self, job_id: str) -> Iterator[TaskEnd]:
        """The tasks that ended without success or never ran; nothing for a job that does not exist.

        Batch lists one state at a time and in the order of its own names, so the positions are sorted here.
        """
        failed = (TaskEnd(_position(task), _exit_code(task)) for task in self._tasks(job_id, "FAILED"))
        never_ran = (TaskEnd(_position(task), None) for task in self._tasks(job_id, "UNEXECUTED"))
        return iter(sorted((*failed, *never_ran), key=lambda end: end.position))

    def _adopted(self, spec: JobSpec) -> JobView:
        """The job that is there. Raises BadInput unless its labels, and so its orders, are the ones asked for."""
        view = self.get(spec.job_id)
        if view is None:
            raise RetryableError(f"job {spec.job_id} exists, and cannot be read just now")
        if not spec.labels.items() <= view.labels.items():  # Batch may add labels of its own
            raise BadInput(f"job {spec.job_id} exists with other labels: {view.labels}, asked for {spec.labels}")
        return view

    def _tasks(self, job_id: str, state: str) -> Iterator[batch_v1.Task]:
        request = batch_v1.ListTasksRequest(
            parent=f"{self._name(job_id)}/taskGroups/{TASK_GROUP}", filter=f"State={state}", page_size=PAGE
        )
        try:
            with translated_errors(f"the tasks of job {job_id}"):
                yield from self._client.list_tasks(request=request)
        except NotFound:
            return

    def _name(self, job_id: str) -> str:
        return f"{self._parent}/jobs/{job_id}"


def _view(job: batch_v1.Job) -> JobView:
    events = job.status.status_events
    return JobView(
        job_id=job.name.rpartition("/")[2],
        uid=job.uid,
        state=_state(job.status.state),
        created=_moment(job.create_time),
        counts=_counts(job),
        labels=dict(job.labels),
        detail=events[-1].description if events else "",
    )


def _state(state: object) -> JobState:
    """Ours. A state that we do not know is taken for one of a job at work: it is looked at again."""
    try:
        return JobState(getattr(state, "name", ""))  # a number that the library does not know stays a number
    except ValueError:
        return JobState.RUNNING


def _counts(job: batch_v1.Job) -> TaskCounts:
    """How many tasks are in each state; before Batch counts, all of them are to come."""
    counted: Counter[str] = Counter()
    for status in job.status.task_groups.values():
        for name, number in status.counts.items():
            if name in _COUNTED:
                counted[_COUNTED[name]] += number
    return TaskCounts(**counted) if counted else TaskCounts(pending=sum(group.task_count for group in job.task_groups))


def _moment(time: Any) -> datetime:
    """A time of the message, which the library gives as a datetime, or None where it is not set."""
    return time.astimezone(UTC) if time else datetime.fromtimestamp(0, UTC)


def _position(task: batch_v1.Task) -> int:
    return int(task.name.rpartition("/")[2])


def _exit_code(task: batch_v1.Task) -> int | None:
    """The exit code of the task's last try, or None when it had none."""
    tries = [event for event in task.status.status_events if "task_execution" in event]
    tries.sort(key=lambda event: _moment(event.event_time))
    return int(tries[-1].task_execution.exit_code) if tries else None
