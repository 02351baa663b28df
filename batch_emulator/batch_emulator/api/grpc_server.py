"""The API over gRPC."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.rpc import code_pb2
from grpc_status import rpc_status

from batch_emulator.api.calls import Call
from batch_emulator.engine.errors import SetupError
from batch_emulator.protocol.errors import ApiError

HOST = "127.0.0.1"
_THREADS = 16
# With SO_REUSEPORT, a second server would share the port with the first, and each would get some of the calls.
_OPTIONS = (("grpc.so_reuseport", 0),)


log = logging.getLogger(__name__)


def serve_grpc(calls: Sequence[Call], port: int) -> tuple[grpc.Server, int]:
    """Starts a server and returns it with its port. Raises SetupError if the port is taken."""
    server = grpc.server(ThreadPoolExecutor(_THREADS, "batch-api-grpc"), options=_OPTIONS)
    for service in sorted({call.service for call in calls}):
        handlers = {call.method: _handler(call) for call in calls if call.service == service}
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
    try:
        bound = server.add_insecure_port(f"{HOST}:{port}")
    except RuntimeError as error:
        raise SetupError(f"port {port} of {HOST} is taken; give another --port, or 0 for any") from error
    server.start()
    return server, bound


def _handler(call: Call) -> grpc.RpcMethodHandler:
    """The call as gRPC handles it, with ApiError as a gRPC status."""

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return call.reply_to(request)
        except ApiError as error:
            status = error.status
        except Exception:
            log.exception("%s failed", call.method)
            status = ApiError(code_pb2.INTERNAL, "internal error of the emulator; see its log").status
        context.abort_with_status(rpc_status.to_status(status))
        return None

    return grpc.unary_unary_rpc_method_handler(answer, call.request.FromString, lambda reply: reply.SerializeToString())
