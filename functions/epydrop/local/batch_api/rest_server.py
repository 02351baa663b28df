"""The API over HTTP with JSON: the paths of Google's own, each the same call as over gRPC."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import uvicorn
from google.cloud.location import locations_pb2
from google.longrunning import operations_pb2
from google.protobuf import json_format
from google.rpc import code_pb2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from epydrop.errors import WiredWrongly
from epydrop.local.batch_api import messages
from epydrop.local.batch_api.errors import ApiError, Violation, invalid
from epydrop.local.batch_api.grpc_server import HOST, Call
from epydrop.local.batch_api.jobs import Jobs
from epydrop.local.batch_api.operations import Operations

# What a query may carry beside the fields of the request: Google's system parameters, none of which matters here.
_SYSTEM = re.compile(
    r"\$.*|alt|prettyPrint|fields|key|access_token|oauth_token|quotaUser|callback|uploadType|upload_protocol"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Rule:
    """A path pattern of the protocol's HTTP rules: the star parts are the request's field ``into``."""

    method: str
    path: re.Pattern[str]
    into: str
    request: Any
    call: Call
    body: str = ""


class RestApi:
    """One answer for each request that a rule fits."""

    def __init__(self, jobs: Jobs, operations: Operations) -> None:
        place = "projects/*/locations/*"
        job, task_group, operation = f"{place}/jobs/*", f"{place}/jobs/*/taskGroups/*", f"{place}/operations/*"
        self._rules = [
            _rule("POST", f"{{parent={place}}}/jobs", messages.CreateJobRequest, jobs.create, "job"),
            _rule("GET", f"{{parent={place}}}/jobs", messages.ListJobsRequest, jobs.list),
            _rule("GET", f"{{name={job}}}", messages.GetJobRequest, jobs.get),
            _rule("DELETE", f"{{name={job}}}", messages.DeleteJobRequest, jobs.delete),
            _rule("POST", f"{{name={job}}}:cancel", messages.CancelJobRequest, jobs.cancel, "*"),
            _rule("GET", f"{{parent={task_group}}}/tasks", messages.ListTasksRequest, jobs.list_tasks),
            _rule("GET", f"{{name={task_group}/tasks/*}}", messages.GetTaskRequest, jobs.get_task),
            _rule("GET", f"{{name={operation}}}", operations_pb2.GetOperationRequest, operations.get),
            _rule("GET", f"{{name={place}}}/operations", operations_pb2.ListOperationsRequest, operations.list),
            _rule("DELETE", f"{{name={operation}}}", operations_pb2.DeleteOperationRequest, operations.delete),
            _rule(
                "POST", f"{{name={operation}}}:cancel", operations_pb2.CancelOperationRequest, operations.cancel, "*"
            ),
            _rule("POST", f"{{name={operation}}}:wait", operations_pb2.WaitOperationRequest, operations.wait, "*"),
            _rule("GET", "{name=projects/*}/locations", locations_pb2.ListLocationsRequest, operations.list_locations),
            _rule("GET", f"{{name={place}}}", locations_pb2.GetLocationRequest, operations.get_location),
        ]

    def answer(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """The HTTP status and the JSON."""
        try:
            message = self._called(method, path, query, body)
        except ApiError as error:
            return error.http_status, _error_json(error)
        except Exception:
            log.exception("%s %s failed", method, path)
            return 500, _error_json(ApiError(code_pb2.INTERNAL, "the emulator failed; its log says how"))
        as_numbers = "enum-encoding=int" in query.get("$alt", "")
        return 200, json_format.MessageToJson(message, indent=2, use_integers_for_enums=as_numbers).encode()

    def _called(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Any:
        for rule in self._rules:
            found = rule.path.fullmatch(path) if rule.method == method else None
            if found is not None:
                return rule.call(_request(rule, found[1], query, body))
        raise ApiError(code_pb2.NOT_FOUND, f"{method} /{path} is no call of Cloud Batch v1")


class RestServer:
    """uvicorn on a thread of its own. Raises WiredWrongly when the port is taken."""

    def __init__(self, api: RestApi, port: int) -> None:
        try:
            self._socket = socket.create_server((HOST, port))
        except OSError as error:
            raise WiredWrongly(f"port {port} of {HOST} is taken; give another --rest-port, or 0 for any") from error
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(_application(api), log_config=None, access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="batch-api-rest", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answers what was asked, and ends."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        asyncio.run(self._server.serve([self._socket]))


def _application(api: RestApi) -> Starlette:
    async def answer(request: Request) -> Response:
        body = await request.body()
        path = request.path_params["path"]
        status, text = await run_in_threadpool(api.answer, request.method, path, request.query_params, body)
        return Response(text, status, media_type="application/json")

    return Starlette(routes=[Route("/v1/{path:path}", answer, methods=["GET", "POST", "DELETE", "PUT", "PATCH"])])


def _rule(method: str, pattern: str, request: Any, call: Callable[[Any], Any], body: str = "") -> _Rule:
    found = re.fullmatch(r"\{(\w+)=(.*)\}(.*)", pattern)
    if found is None:
        raise ValueError(f"{pattern!r} is no pattern like {{name=projects/*}}/jobs")
    into, name, rest = found.groups()
    path = re.compile("(" + name.replace("*", "[^/]+?") + ")" + re.escape(rest))
    return _Rule(method, path, into, request, call, body)


def _request(rule: _Rule, name: str, query: Mapping[str, str], body: bytes) -> Any:
    """The request message out of path, query and body. Raises INVALID_ARGUMENT for what has no place in it."""
    fields: dict[str, Any] = {key: value for key, value in query.items() if not _SYSTEM.fullmatch(key)}
    try:
        content = json.loads(body) if body.strip() else {}
    except ValueError as error:
        raise invalid(Violation("body", f"is not JSON: {error}")) from error
    if rule.body == "*":
        fields.update(content)
    elif rule.body:
        fields[rule.body] = content
    fields[rule.into] = name
    try:
        return json_format.ParseDict(fields, rule.request())
    except json_format.ParseError as error:
        raise invalid(Violation("body", str(error))) from error


def _error_json(error: ApiError) -> bytes:
    status = json_format.MessageToDict(error.status)
    content = {
        "code": error.http_status,
        "message": str(error),
        "status": code_pb2.Code.Name(error.code),
        "details": status.get("details", []),
    }
    return json.dumps({"error": content}, indent=2).encode()
