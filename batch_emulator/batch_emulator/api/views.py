"""Jobs, tasks and operations as response messages, with status events worded like Batch's own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from google.longrunning import operations_pb2
from google.protobuf import duration_pb2, empty_pb2, timestamp_pb2

from batch_emulator.engine.jobs import JobState, TaskCounts, TaskExit, TaskState
from batch_emulator.protocol.messages import (
    CancelJobResponse,
    Job,
    JobStatus,
    OperationMetadata,
    StatusEvent,
    Task,
    TaskStatus,
)
from batch_emulator.protocol.resources import TASK_GROUP
from batch_emulator.protocol.task_states import TASK_STATES
from batch_emulator.state.ledger import Event, JobRecord, OperationRecord

_CHANGED = "STATUS_CHANGED"
# The wording of batch/docs/troubleshooting, because monitoring searches for it.
_CAUSES = {
    TaskExit.PREEMPTED: " due to Spot VM preemption",
    TaskExit.REPORTING_TIMEOUT: " due to Batch no longer receives VM updates",
    TaskExit.REBOOTED: " due to VM is rebooted during task execution",
    TaskExit.UNRESPONSIVE: " due to tasks cannot be canceled",
    TaskExit.TIMED_OUT: " due to task runs over the maximum runtime",
    TaskExit.RECREATED: " due to VM is recreated during task execution",
}


def job_view(
    record: JobRecord, counts: TaskCounts, events: Sequence[Event], failure: tuple[int, Sequence[Event]] | None
) -> Any:
    """The job with its status. ``failure`` is the position of the first failed task, with its events."""
    job = Job.FromString(record.spec)
    job.uid = record.uid
    job.create_time.CopyFrom(_timestamp(record.created))
    job.update_time.CopyFrom(_timestamp(record.updated))
    status = job.status
    status.state = JobStatus.State.Value(record.state)
    status.run_duration.CopyFrom(_run_duration(record))
    for event in events:
        words = f"Job state is set from {event.before} to {event.state} for job {record.name}."
        if event.state == JobState.FAILED:
            words += f" {_failure(record, *failure) if failure else record.detail}"
        status.status_events.add(type_=_CHANGED, description=words, event_time=_timestamp(event.moment))
    group = status.task_groups[TASK_GROUP]
    for state, name in TASK_STATES.items():
        if count := getattr(counts, state):
            group.counts[name] = count
    for instance in job.allocation_policy.instances:
        if instance.policy.machine_type:
            group.instances.add(
                machine_type=instance.policy.machine_type,
                provisioning_model=instance.policy.provisioning_model,
                task_pack=job.task_groups[0].task_count_per_node or 1,
            )
    return job


def task_view(record: JobRecord, position: int, state: str, events: Sequence[Event]) -> Any:
    """A task with the status events of all its tries."""
    task = Task(name=f"{record.name}/taskGroups/{TASK_GROUP}/tasks/{position}")
    task.status.state = TaskStatus.State.Value(TASK_STATES[state])
    task.status.status_events.extend(_task_events(record, events))
    return task


def operation_view(record: OperationRecord) -> operations_pb2.Operation:
    """The operation, with its result once it is done."""
    operation = operations_pb2.Operation(name=record.name, done=record.ended is not None)
    metadata = OperationMetadata(
        create_time=_timestamp(record.began), target=record.target, verb=record.verb, api_version="v1"
    )
    if record.ended is not None:
        metadata.end_time.CopyFrom(_timestamp(record.ended))
        operation.response.Pack(CancelJobResponse() if record.verb == "cancel" else empty_pb2.Empty())
    operation.metadata.Pack(metadata)
    return operation


def _failure(record: JobRecord, position: int, events: Sequence[Event]) -> str:
    last = _task_events(record, events)[-1:]
    cause = f' due to the following task event: "{last[0].description}"' if last else ""
    return f"Job failed due to task failure. Specifically, task with index {position} failed{cause}"


def _task_events(record: JobRecord, events: Sequence[Event]) -> list[Any]:
    return [event for one in _with_pid(events) for event in _status_events(record, *one)]


def _with_pid(events: Sequence[Event]) -> Iterator[tuple[Event, Event | None, int]]:
    """Each event with the event before it and the id of its process, which is shown in place of a VM instance."""
    pid, before = 0, None
    for event in events:
        pid = event.pid or pid
        yield event, before, pid
        before = event


def _status_events(record: JobRecord, event: Event, before: Event | None, pid: int) -> Iterator[Any]:
    place = f"zones/{record.name.parent.location}-a/instances/{pid}"
    came_from = before.state if before else TaskState.PENDING
    is_retry = event.state == TaskState.PENDING and before is not None and event.retry > before.retry
    if event.state in {TaskState.SUCCEEDED, TaskState.FAILED} or is_retry:
        code = event.exit_code
        state = TaskState.FAILED if is_retry else event.state
        words = f"Task state is updated from {TASK_STATES[came_from]} to {TASK_STATES[state]} on {place}"
        if code is not None:
            words += f"{_CAUSES.get(code, '')} with exit code {code}."
        yield _status_event(event, words, state, code)
        came_from = state
    if event.state in {TaskState.PENDING, TaskState.RUNNING}:
        words = f"Task state is updated from {TASK_STATES[came_from]} to {TASK_STATES[event.state]}"
        if event.state == TaskState.RUNNING:
            words += f" on {place}"
        yield _status_event(event, words, event.state, None)


def _status_event(event: Event, words: str, state: str, code: int | None) -> Any:
    status_event = StatusEvent(
        type_=_CHANGED,
        description=words,
        event_time=_timestamp(event.moment),
        task_state=TaskStatus.State.Value(TASK_STATES[state]),
    )
    if code is not None:
        status_event.task_execution.exit_code = code
    return status_event


def _run_duration(record: JobRecord) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    if record.run_began is not None:
        duration.FromNanoseconds(int(((record.run_ended or time.time()) - record.run_began) * 1e9))
    return duration


def _timestamp(moment: float) -> timestamp_pb2.Timestamp:
    timestamp = timestamp_pb2.Timestamp()
    timestamp.FromNanoseconds(int(moment * 1e6) * 1000)
    return timestamp
