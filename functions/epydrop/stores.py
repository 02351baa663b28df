"""From a URL to the object store behind it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from epydrop.errors import WiredWrongly
from epydrop.ports import ObjectStore


def open_object_store(url: str) -> ObjectStore:
    """The store at ``file:///folder/``. Raises WiredWrongly for a URL that names no store."""
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        from epydrop.local.object_store import FileObjectStore  # noqa: PLC0415 - each world loads only its own adapter

        return FileObjectStore(Path(unquote(parts.path)))
    raise WiredWrongly(f"{url!r} is not the URL of a store; expected file:///folder/")
