"""Page sizes and page tokens. A token is opaque, and valid only for the query it was returned for."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from google.protobuf.message import Message

from batch_emulator.protocol.errors import Violation, invalid

DEFAULT_SIZE = 100
MAX_SIZE = 1000
MAX_BYTES = 3 << 20  # of one page: gRPC clients accept messages of 4 MiB by default


def page_size(request: Any) -> int:
    """The number of items to return at most. Raises INVALID_ARGUMENT for a negative one."""
    if request.page_size < 0:
        raise invalid(Violation("page_size", f"got {request.page_size}, expected at least 0"))
    return min(request.page_size or DEFAULT_SIZE, MAX_SIZE)


def next_token(request: Message, last: list[Any]) -> str:
    """The token for the page after the item whose sort key is ``last``."""
    return base64.urlsafe_b64encode(json.dumps([_query(request), *last]).encode()).decode()


def start_of(request: Any, *kinds: type | tuple[type, ...]) -> list[Any]:
    """The sort key that the token was made from, of these types; empty for the first page. Raises INVALID_ARGUMENT."""
    if not request.page_token:
        return []
    try:
        query, *last = json.loads(base64.urlsafe_b64decode(request.page_token.encode()))
        is_ours = len(last) == len(kinds) and all(map(isinstance, last, kinds))
    except (ValueError, TypeError, RecursionError):
        is_ours = False
    if not is_ours:
        raise invalid(Violation("page_token", "is not a token of this server"))
    if query != _query(request):
        raise invalid(Violation("page_token", "belongs to another query: another parent, filter or order"))
    return list(last)


def _query(request: Any) -> str:
    """A digest of the fields that must not change from page to page."""
    same = type(request)()
    same.CopyFrom(request)
    same.ClearField("page_token")
    same.ClearField("page_size")
    return hashlib.sha256(same.SerializeToString(deterministic=True)).hexdigest()[:16]
