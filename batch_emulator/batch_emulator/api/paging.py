"""Page sizes and page tokens: opaque, and good only for the question that they were given for."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from google.protobuf.message import Message

from batch_emulator.api.errors import Violation, invalid

DEFAULT_SIZE = 100
MAX_SIZE = 1000
MAX_BYTES = 3 << 20  # of one page: clients of gRPC take 4 MiB at most


def page_size(request: Any) -> int:
    """How many to return at most. Raises INVALID_ARGUMENT for a negative one."""
    if request.page_size < 0:
        raise invalid(Violation("page_size", f"got {request.page_size}, expected at least 0"))
    return min(request.page_size or DEFAULT_SIZE, MAX_SIZE)


def next_token(request: Message, last: list[Any]) -> str:
    """The token for what comes after ``last``, an answer to the same question."""
    return base64.urlsafe_b64encode(json.dumps([_question(request), *last]).encode()).decode()


def start_of(request: Any, *kinds: type | tuple[type, ...]) -> list[Any]:
    """What ``next_token`` was given, of these types, or nothing for the first page. Raises INVALID_ARGUMENT."""
    if not request.page_token:
        return []
    try:
        question, *last = json.loads(base64.urlsafe_b64decode(request.page_token.encode()))
        is_ours = len(last) == len(kinds) and all(map(isinstance, last, kinds))
    except (ValueError, TypeError):
        is_ours = False
    if not is_ours:
        raise invalid(Violation("page_token", "is none that this server gave"))
    if question != _question(request):
        raise invalid(Violation("page_token", "was given for another question: another parent, filter or order"))
    return list(last)


def _question(request: Any) -> str:
    """What must not change from page to page."""
    same = type(request)()
    same.CopyFrom(request)
    same.ClearField("page_token")
    same.ClearField("page_size")
    return hashlib.sha256(same.SerializeToString(deterministic=True)).hexdigest()[:16]
