"""The API over HTTP with JSON, by each call's google.api.http rule."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import uvicorn
from google.protobuf import json_format
from google.rpc import code_pb2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from batch_emulator.api.calls import Call
from batch_emulator.api.grpc_server import HOST
from batch_emulator.engine.errors import SetupError
from batch_emulator.protocol.errors import ApiError, Violation, invalid

# Google's system parameters, which a query may have beside the fields of the request. The emulator ignores them.
_SYSTEM = re.compile(
    r"\$.*|alt|prettyPrint|fields|key|access_token|oauth_token|quotaUser|callback|uploadType|upload_protocol"
)

_GRACE = 2  # seconds for requests at hand when it stops

log = logging.getLogger(__name__)


class RestApi:
    """Finds the call whose rule matches a request, and answers it."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._rules = [(*_rule(call.http), call) for call in calls]

    def answer(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """The HTTP status and the JSON."""
        try:
            message = self._called(method, path, query, body)
        except ApiError as error:
            return error.http_status, _error_json(error)
        except Exception:
            log.exception("%s %s failed", method, path)
            return 500, _error_json(ApiError(code_pb2.INTERNAL, "internal error of the emulator; see its log"))
        as_numbers = "enum-encoding=int" in query.get("$alt", "")
        return 200, json_format.MessageToJson(message, indent=2, use_integers_for_enums=as_numbers).encode()

    def _called(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Any:
        for verb, pattern, field, call in self._rules:
            found = pattern.fullmatch(path) if verb == method else None
            if found is not None:
                return call.reply_to(_request(call, {field: found[1]}, query, body))
        raise ApiError(code_pb2.NOT_FOUND, f"{method} /v1/{path} is not a method of Cloud Batch v1")


class RestServer:
    """uvicorn on a thread of its own. Raises SetupError if the port is taken."""

    def __init__(self, api: RestApi, port: int) -> None:
        # With the protocol given, asyncio sets TCP_NODELAY; otherwise each answer would wait 40 ms for more data.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # restart without waiting for TIME_WAIT
            self._socket.bind((HOST, port))
            self._socket.listen()
        except OSError as error:
            self._socket.close()
            raise SetupError(f"port {port} of {HOST} is taken; give another --rest-port, or 0 for any") from error
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            _application(api), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=_GRACE
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="batch-api-rest", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answers the requests at hand, and stops."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        asyncio.run(self._server.serve([self._socket]))


def _application(api: RestApi) -> Starlette:
    async def answer(request: Request) -> Response:
        if _is_from_web_page(request):
            refusal = ApiError(code_pb2.PERMISSION_DENIED, "web pages of other origins may not call the emulator")
            return Response(_error_json(refusal), refusal.http_status, media_type="application/json")
        body = await request.body()
        path = request.path_params["path"]
        # In a thread, because calls wait for SQLite and would block the event loop.
        status, text = await run_in_threadpool(api.answer, request.method, path, request.query_params, body)
        return Response(text, status, media_type="application/json")

    return Starlette(routes=[Route("/v1/{path:path}", answer, methods=["GET", "POST", "DELETE", "PUT", "PATCH"])])


def _is_from_web_page(request: Request) -> bool:
    """Whether a browser sent the request for a web page.

    Jobs run commands on this machine, and any page that is open in a browser could send requests to localhost.
    The host is checked against DNS rebinding.
    """
    site = request.headers.get("sec-fetch-site", "none")
    is_local = request.url.hostname in (HOST, "localhost")
    return "origin" in request.headers or site not in ("none", "same-origin") or not is_local


def _rule(http: str) -> tuple[str, re.Pattern[str], str]:
    """The verb, a pattern for the path, and the request field that the pattern's first group sets."""
    found = re.fullmatch(r"(\w+) \{(\w+)=(.*)\}(.*)", http)
    if found is None:
        raise ValueError(f"{http!r} is not a rule like GET {{name=projects/*}}/jobs")
    verb, field, name, rest = found.groups()
    return verb, re.compile("(" + name.replace("*", "[^/]+?") + ")" + re.escape(rest)), field


def _request(call: Call, from_path: Mapping[str, str], query: Mapping[str, str], body: bytes) -> Any:
    """The request message. Raises INVALID_ARGUMENT for unknown fields and wrong types."""
    fields: dict[str, Any] = {key: value for key, value in query.items() if not _SYSTEM.fullmatch(key)}
    try:
        content = json.loads(body) if body.strip() else {}
        if not isinstance(content, dict):
            raise invalid(Violation("body", f"is JSON, but not an object: {content!r:.50}"))
        if call.body:
            fields.update(content if call.body == "*" else {call.body: content})
        return json_format.ParseDict({**fields, **from_path}, call.request())
    except (ValueError, RecursionError, json_format.ParseError) as error:
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
