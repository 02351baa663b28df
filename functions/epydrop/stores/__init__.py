"""Object stores: the port, Cloud Storage, a local folder, and ``open_store``, which picks one of the two by its URL."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from epydrop.errors import ConfigurationError
from epydrop.stores.port import ObjectStore


def open_store(url: str) -> ObjectStore:
    """The store at ``gs://BUCKET/prefix/`` or ``file:///folder/``. Raises ConfigurationError for any other URL."""
    # Lazy imports: Google's library is not installed on every machine, and each process uses only one kind of store.
    parts = urlsplit(url)
    if parts.scheme == "gs" and parts.netloc and parts.path.endswith("/") and not parts.query + parts.fragment:
        from epydrop.stores.cloud_storage import GcsObjectStore, storage_client  # noqa: PLC0415 - see above

        return GcsObjectStore(storage_client(), parts.netloc, parts.path[1:])
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        from epydrop.stores.folder import FileObjectStore  # noqa: PLC0415 - see above

        return FileObjectStore(Path(unquote(parts.path)))
    raise ConfigurationError(f"{url!r} is not the URL of a store; expected gs://BUCKET/prefix/ or file:///folder/")
