"""All methods that clients may call, for both transports."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.cloud.location import locations_pb2
from google.longrunning import operations_pb2

from batch_emulator.api.jobs import Jobs
from batch_emulator.api.operations import Operations
from batch_emulator.api.tasks import Tasks
from batch_emulator.protocol import messages
from batch_emulator.protocol.errors import ApiError

BATCH = "google.cloud.batch.v1.BatchService"
OPERATIONS = "google.longrunning.Operations"
LOCATIONS = "google.cloud.location.Locations"

_PLACE = "projects/*/locations/*"
_JOB = f"{_PLACE}/jobs/*"
_GROUP = f"{_JOB}/taskGroups/*"
_OPERATION = f"{_PLACE}/operations/*"


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Call:
    """A method of a service, its google.api.http rule, and the function that answers it.

    ``http`` is the verb and the path, with the request field that the path sets: ``GET {name=projects/*}``;
    ``body`` is the request field that the body sets, or '*' if the body is the whole request.
    """

    service: str
    method: str
    http: str
    request: Any
    answer: Callable[[Any], Any]
    body: str = ""

    def reply_to(self, request: Any) -> Any:
        """Answers a request, and logs the call at debug level. Raises ApiError."""
        what = getattr(request, "name", "") or getattr(request, "parent", "")
        began = time.perf_counter()
        try:
            reply = self.answer(request)
        except ApiError as error:
            log.debug("%s %s: %s", self.method, what, error)
            raise
        log.debug("%s %s: %.1f ms", self.method, what, (time.perf_counter() - began) * 1000)
        return reply


def all_calls(jobs: Jobs, tasks: Tasks, operations: Operations) -> list[Call]:
    """The methods and HTTP rules of google/cloud/batch/v1/batch.proto and its service configuration."""
    batch = (
        ("CreateJob", f"POST {{parent={_PLACE}}}/jobs", messages.CreateJobRequest, jobs.create, "job"),
        ("ListJobs", f"GET {{parent={_PLACE}}}/jobs", messages.ListJobsRequest, jobs.page),
        ("GetJob", f"GET {{name={_JOB}}}", messages.GetJobRequest, jobs.get),
        ("DeleteJob", f"DELETE {{name={_JOB}}}", messages.DeleteJobRequest, jobs.delete),
        ("CancelJob", f"POST {{name={_JOB}}}:cancel", messages.CancelJobRequest, jobs.cancel, "*"),
        ("ListTasks", f"GET {{parent={_GROUP}}}/tasks", messages.ListTasksRequest, tasks.page),
        ("GetTask", f"GET {{name={_GROUP}/tasks/*}}", messages.GetTaskRequest, tasks.get),
    )
    lro = operations_pb2
    running = (
        ("GetOperation", f"GET {{name={_OPERATION}}}", lro.GetOperationRequest, operations.get),
        ("ListOperations", f"GET {{name={_PLACE}}}/operations", lro.ListOperationsRequest, operations.page),
        ("DeleteOperation", f"DELETE {{name={_OPERATION}}}", lro.DeleteOperationRequest, operations.delete),
        ("CancelOperation", f"POST {{name={_OPERATION}}}:cancel", lro.CancelOperationRequest, operations.cancel, "*"),
        ("WaitOperation", f"POST {{name={_OPERATION}}}:wait", lro.WaitOperationRequest, operations.wait, "*"),
    )
    places = (
        (
            "ListLocations",
            "GET {name=projects/*}/locations",
            locations_pb2.ListLocationsRequest,
            operations.list_locations,
        ),
        ("GetLocation", f"GET {{name={_PLACE}}}", locations_pb2.GetLocationRequest, operations.get_location),
    )
    return [
        Call(service, *call)
        for service, calls in ((BATCH, batch), (OPERATIONS, running), (LOCATIONS, places))
        for call in calls
    ]
