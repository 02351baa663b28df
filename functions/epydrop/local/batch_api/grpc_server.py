"""The API over gRPC: which method of the protocol is which call of ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.cloud.location import locations_pb2
from google.longrunning import operations_pb2
from google.rpc import code_pb2
from grpc_status import rpc_status

from epydrop.errors import WiredWrongly
from epydrop.local.batch_api import messages
from epydrop.local.batch_api.errors import ApiError
from epydrop.local.batch_api.jobs import Jobs
from epydrop.local.batch_api.operations import Operations

HOST = "127.0.0.1"
_THREADS = 16
# Else a second server would share the port with the first, and each get some of the calls.
_OPTIONS = (("grpc.so_reuseport", 0),)

Call = Callable[[Any], Any]

log = logging.getLogger(__name__)


def serve_grpc(jobs: Jobs, operations: Operations, port: int) -> tuple[grpc.Server, int]:
    """A server that listens, and its port. Raises WiredWrongly when the port is taken."""
    server = grpc.server(ThreadPoolExecutor(_THREADS, "batch-api-grpc"), options=_OPTIONS)
    server.add_generic_rpc_handlers(
        [
            _service(
                "google.cloud.batch.v1.BatchService",
                {
                    "CreateJob": (jobs.create, messages.CreateJobRequest),
                    "GetJob": (jobs.get, messages.GetJobRequest),
                    "ListJobs": (jobs.list, messages.ListJobsRequest),
                    "CancelJob": (jobs.cancel, messages.CancelJobRequest),
                    "DeleteJob": (jobs.delete, messages.DeleteJobRequest),
                    "GetTask": (jobs.get_task, messages.GetTaskRequest),
                    "ListTasks": (jobs.list_tasks, messages.ListTasksRequest),
                },
            ),
            _service(
                "google.longrunning.Operations",
                {
                    "GetOperation": (operations.get, operations_pb2.GetOperationRequest),
                    "ListOperations": (operations.list, operations_pb2.ListOperationsRequest),
                    "WaitOperation": (operations.wait, operations_pb2.WaitOperationRequest),
                    "DeleteOperation": (operations.delete, operations_pb2.DeleteOperationRequest),
                    "CancelOperation": (operations.cancel, operations_pb2.CancelOperationRequest),
                },
            ),
            _service(
                "google.cloud.location.Locations",
                {
                    "ListLocations": (operations.list_locations, locations_pb2.ListLocationsRequest),
                    "GetLocation": (operations.get_location, locations_pb2.GetLocationRequest),
                },
            ),
        ]
    )
    try:
        bound = server.add_insecure_port(f"{HOST}:{port}")
    except RuntimeError as error:
        raise WiredWrongly(f"port {port} of {HOST} is taken; give another --port, or 0 for any") from error
    server.start()
    return server, bound


def _service(name: str, calls: Mapping[str, tuple[Call, Any]]) -> grpc.GenericRpcHandler:
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(
            _answering(call), request.FromString, lambda message: message.SerializeToString()
        )
        for method, (call, request) in calls.items()
    }
    return grpc.method_handlers_generic_handler(name, handlers)


def _answering(call: Call) -> Callable[[Any, grpc.ServicerContext], Any]:
    """The call, with our errors as gRPC's."""

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return call(request)
        except ApiError as error:
            status = error.status
        except Exception:
            log.exception("%s failed", call.__qualname__)
            status = ApiError(code_pb2.INTERNAL, "the emulator failed; its log says how").status
        context.abort_with_status(rpc_status.to_status(status))
        return None

    return answer
