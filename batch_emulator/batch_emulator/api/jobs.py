"""The calls of BatchService that concern jobs: create, get, list, cancel and delete."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from google.longrunning import operations_pb2

from batch_emulator.api import views
from batch_emulator.api.filters import Fields, read_filter
from batch_emulator.api.paging import MAX_BYTES, next_token, page_size, start_of
from batch_emulator.engine.faults import LABEL, InvalidFault, parse_faults, words_of
from batch_emulator.engine.job_store import JobStore
from batch_emulator.engine.jobs import LIVE_STATES, JobState
from batch_emulator.options import ServerOptions
from batch_emulator.protocol.errors import (
    Violation,
    already_exists,
    failed_precondition,
    invalid,
    not_found,
)
from batch_emulator.protocol.messages import Job, ListJobsResponse
from batch_emulator.protocol.resources import (
    ALL_LOCATIONS,
    JobName,
    Location,
    is_job_id,
    new_job_id,
    new_uid,
    parse_job,
    parse_location,
)
from batch_emulator.rules.accepted import accepted
from batch_emulator.rules.job_checks import job_problems
from batch_emulator.rules.unsupported import unsupported
from batch_emulator.state.ledger import ORDERS, JobRecord, Ledger

_JOB_FIELDS = {
    "name": str,
    "uid": str,
    "priority": int,
    "state": str,
    "status.state": str,
    "create_time": datetime,
    "update_time": datetime,
}


class Jobs:
    """The calls: each takes a request message and returns a response message. They raise ApiError.

    ``wake`` makes the worker look for new jobs; it raises ApiError if there is no worker any more.
    """

    def __init__(self, ledger: Ledger, store: JobStore, options: ServerOptions, wake: Callable[[], None]) -> None:
        self._ledger = ledger
        self._store = store
        self._options = options
        self._wake = wake

    def create(self, request: Any) -> Any:
        """CreateJob."""
        parent = parse_location(request.parent, "parent")
        _check_request_id(request.request_id)
        # One transaction: of two requests with the same id that arrive at once, the second finds the first.
        with self._ledger.database.transaction():
            record = self._earlier(request.request_id) or self._add(parent, request)
        self._wake()
        return self._view(record)

    def get(self, request: Any) -> Any:
        """GetJob."""
        return self._view(self._job(request.name))

    def page(self, request: Any) -> Any:
        """ListJobs: one page."""
        parent = parse_location(request.parent, "parent")
        if request.order_by not in ORDERS:
            known = ", ".join(repr(order) for order in ORDERS if order)
            raise invalid(Violation("order_by", f"got {request.order_by!r}, expected one of {known}"))
        matches = read_filter(request.filter, _JOB_FIELDS)
        size = page_size(request)
        after = start_of(request, (float, str), str)
        response, length = ListJobsResponse(), 0
        column, _ = ORDERS[request.order_by]
        last: list[Any] = []
        for record in self._ledger.jobs(parent, request.order_by, after):
            if not matches(_fields(record)):
                continue
            # Only now, with another match at hand, is it certain that there is a next page.
            if len(response.jobs) == size or length > MAX_BYTES:
                response.next_page_token = next_token(request, last)
                break
            job = self._view(record)
            response.jobs.append(job)
            length += job.ByteSize()
            last = [getattr(record, column), record.uid]
        return response

    def cancel(self, request: Any) -> operations_pb2.Operation:
        """CancelJob: returns an operation that is done when the job is cancelled."""
        return self._end(request, "cancel", self._start_cancel)

    def delete(self, request: Any) -> operations_pb2.Operation:
        """DeleteJob: returns an operation that is done when the job is deleted."""
        return self._end(request, "delete", self._start_delete)

    def _earlier(self, request_id: str) -> JobRecord | None:
        """The job that an earlier request with this id created, if it still exists."""
        uid = self._ledger.result_of(request_id, "create") if request_id else None
        return self._ledger.job_of(uid) if uid else None

    def _add(self, parent: Location, request: Any) -> JobRecord:
        name = JobName(parent, request.job_id or new_job_id())
        self._check(name, request)
        job, uid = accepted(request.job, name), new_uid(name.job_id)
        if not self._ledger.add_job(name, uid):
            raise already_exists(str(name))
        self._store.insert(uid, uid, job.SerializeToString(), job.task_groups[0].task_count)
        self._ledger.remember_request(request.request_id, "create", uid)
        record = self._ledger.job_of(uid)
        if record is None:
            raise RuntimeError(f"{name} was stored and cannot be found")
        return record

    def _check(self, name: JobName, request: Any) -> None:
        """Raises INVALID_ARGUMENT with all violations: Batch's own or, if there are none, the emulator's."""
        problems = []
        if name.parent.location == ALL_LOCATIONS:
            problems.append(Violation("parent", "a job needs one location"))
        if not is_job_id(name.job_id):
            expected = "at most 63 of a-z, 0-9 and '-', starting with a letter and not ending with '-'"
            problems.append(Violation("job_id", f"got {name.job_id!r}, expected {expected}"))
        problems += job_problems(request.job, name.parent.location)
        # Only for valid jobs: the checks below rely on what the checks above ensure.
        if not problems:
            problems += unsupported(request.job, self._options)
            problems += _fault_problems(request.job)
        if problems:
            raise invalid(*problems)

    def _end(self, request: Any, verb: str, start: Callable[[JobRecord], None]) -> operations_pb2.Operation:
        parse_job(request.name, "name")
        _check_request_id(request.request_id)
        with self._ledger.database.transaction():
            known = self._ledger.result_of(request.request_id, verb) if request.request_id else None
            operation = self._ledger.operation(known) if known else None
            if operation is None:
                record = self._job(request.name)
                operation = self._ledger.add_operation(record, verb)
                self._ledger.remember_request(request.request_id, verb, operation.name)
                start(record)
        self._wake()
        return views.operation_view(self._ledger.operation(operation.name) or operation)

    def _start_cancel(self, record: JobRecord) -> None:
        before = [*LIVE_STATES, JobState.CANCELLATION_IN_PROGRESS]
        if record.state not in before:
            raise failed_precondition(f"{record.name} is {record.state} and cannot be cancelled")
        self._store.move(record.uid, LIVE_STATES, JobState.CANCELLATION_IN_PROGRESS, "cancellation was requested")

    def _start_delete(self, record: JobRecord) -> None:
        if record.state.is_final:
            self._store.erase(record.uid)
        else:
            before = [*LIVE_STATES, JobState.CANCELLATION_IN_PROGRESS]
            self._store.move(record.uid, before, JobState.DELETION_IN_PROGRESS, "deletion was requested")

    def _job(self, text: str) -> JobRecord:
        record = self._ledger.job(parse_job(text, "name"))
        if record is None:
            raise not_found(text)
        return record

    def _view(self, record: JobRecord) -> Any:
        failure = None
        if record.state is JobState.FAILED and (position := self._ledger.first_failed(record.uid)) is not None:
            failure = position, self._ledger.task_events(record.uid, position, position)
        counts = self._store.counts(record.uid)
        return views.job_view(record, counts, self._ledger.job_events(record.uid), failure)


def _fields(record: JobRecord) -> Fields:
    job = Job.FromString(record.spec)
    state = str(record.state)
    return {
        "name": str(record.name),
        "uid": record.uid,
        "priority": job.priority,
        "state": state,
        "status.state": state,
        "create_time": datetime.fromtimestamp(record.created, UTC),
        "update_time": datetime.fromtimestamp(record.updated, UTC),
        "labels": dict(job.labels),
    }


def _fault_problems(job: Any) -> list[Violation]:
    try:
        parse_faults(words_of(job.labels))
    except InvalidFault as error:
        return [Violation(f"job.labels['{LABEL}{error.word}']", str(error))]
    return []


def _check_request_id(text: str) -> None:
    """Raises INVALID_ARGUMENT unless the request id is empty or a UUID other than zero."""
    try:
        is_valid = not text or uuid.UUID(text).int != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise invalid(Violation("request_id", f"got {text!r}, expected a UUID that is not zero"))
