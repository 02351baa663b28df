"""Objects in Cloud Storage, under one bucket or a folder of one.

Preconditions are generations, checksums are verified by the library (CRC32C), and a stream becomes an object
only when its last byte has arrived.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from google.cloud.exceptions import RequestRangeNotSatisfiable
from google.cloud.storage import Blob, Client, transfer_manager
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from epydrop.errors import ConfigurationError, NotFound, PreconditionFailed, RetryableError
from epydrop.formats.names import is_object_name
from epydrop.google_errors import told
from epydrop.stores.port import ObjectInfo, ObjectStore

CHUNK = 8 << 20  # bytes of a stream that are held in memory; Cloud Storage wants a multiple of 256 KiB
PAGE = 1000  # the most that Cloud Storage returns at once
AT_ONCE = 8  # transfers of one call
CONNECTIONS = 32  # kept open; the output stage reads with 16 threads

_KINDS = mimetypes.MimeTypes()  # Python's own list, not that of the machine
_KINDS.add_type("text/markdown", ".md")
_LISTED = "items(name,generation,size,timeCreated),nextPageToken"


@cache
def storage_client() -> Client:
    """The client that all stores of this process share."""
    # Unless told otherwise the library reads each bucket's settings in the background, which our roles do not allow.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    client = Client()
    adapter = HTTPAdapter(pool_maxsize=CONNECTIONS)  # its own ten would be thrown away and made anew all the time
    for scheme in ("http://", "https://"):
        client._http.mount(scheme, adapter)  # noqa: SLF001 - as Google's own samples do; there is no other way
    return client


class GcsObjectStore:
    """The ObjectStore port. ``prefix`` is empty or ends in '/'; names are relative to it.

    Objects whose names the port refuses, such as the folders that the console makes, are left out of lists.
    """

    def __init__(self, client: Client, bucket: str, prefix: str = "") -> None:
        self.url = f"gs://{bucket}/{prefix}"
        self._client = client
        self._bucket = client.bucket(bucket)
        self._prefix = prefix

    def stat(self, name: str) -> ObjectInfo | None:
        """The newest generation of an object, or None."""
        blob = self._blob(name)
        try:
            with told(self._url(name)):
                blob.reload()
        except NotFound:
            return None
        return self._info(blob)

    def read(self, name: str, *, generation: int | None = None, start: int = 0, end: int | None = None) -> bytes:
        """The bytes from ``start`` up to ``end``. Raises NotFound, also when that generation is not the newest."""
        if end is not None and end <= start:
            return b""
        is_whole = start == 0 and end is None
        try:
            with told(self._url(name)):
                data: bytes = self._blob(name).download_as_bytes(
                    start=start or None,
                    end=None if end is None else end - 1,
                    raw_download=True,
                    if_generation_match=generation,
                    checksum="crc32c" if is_whole else None,  # Cloud Storage knows the sum of whole objects only
                )
        except RequestRangeNotSatisfiable:
            return b""  # behind the end
        except PreconditionFailed as error:
            raise NotFound(f"generation {generation} of {self._url(name)} is not the newest") from error
        return data

    @contextmanager
    def open_read(self, name: str) -> Iterator[BinaryIO]:
        """The object as a seekable stream of the one generation that is the newest now. Raises NotFound.

        When that generation is replaced meanwhile, the next read raises RetryableError. What fits into one piece is read in
        one request, however the stream is moved about in.
        """
        blob = self._blob(name)
        with told(self._url(name)):
            blob.reload()
        if blob.size <= CHUNK:
            yield self._in_memory(name, blob.generation)
            return
        options = {"if_generation_match": blob.generation, "raw_download": True}
        with blob.open("rb", chunk_size=CHUNK, **options) as stream:
            yield cast("BinaryIO", _Told(stream, self._url(name)))

    def _in_memory(self, name: str, generation: int) -> BinaryIO:
        try:
            return BytesIO(self.read(name, generation=generation))
        except NotFound as error:
            raise RetryableError(f"{self._url(name)} was replaced while it was read") from error

    def write(self, name: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        """Stores an object. ``if_generation`` 0 demands that none exists, n that n is the newest: else PreconditionFailed."""
        blob = self._blob(name)
        with _written(self._url(name)):
            blob.upload_from_string(
                data, content_type=_kind(name), if_generation_match=if_generation, checksum="crc32c"
            )
        return self._info(blob)

    @contextmanager
    def open_write(self, name: str, *, if_generation: int | None = None) -> Iterator[BinaryIO]:
        """A stream whose object appears when the block ends without an exception, and never otherwise.

        The bytes wait in memory, or in a temporary file when there are many. The library's own writer would send
        them at once, but it sends the rest of a stream that failed when it is thrown away.
        """
        blob = self._blob(name)
        blob.chunk_size = CHUNK
        with SpooledTemporaryFile(CHUNK) as stream:
            yield cast("BinaryIO", stream)
            size = stream.seek(0, 2)
            stream.seek(0)
            with _written(self._url(name)):
                blob.upload_from_file(
                    stream, size=size, content_type=_kind(name), if_generation_match=if_generation, checksum="crc32c"
                )

    def write_files(self, files: Mapping[str, Path]) -> None:
        """Stores each file under its name, several at a time; where one fails, others may be there."""
        pairs = [(str(path), self._blob(name)) for name, path in files.items()]
        for name, (_, blob) in zip(files, pairs, strict=True):
            blob.content_type = _kind(name)
        with _written(self.url):
            transfer_manager.upload_many(
                pairs,
                upload_kwargs={"checksum": "crc32c"},
                raise_exception=True,
                worker_type=transfer_manager.THREAD,
                max_workers=AT_ONCE,
            )

    def copy(self, name: str, target: ObjectStore, target_name: str, *, generation: int | None = None) -> ObjectInfo:
        """Copies an object inside Cloud Storage. Raises NotFound, like ``read``."""
        if not isinstance(target, GcsObjectStore):
            raise TypeError(f"an object can only be copied within Cloud Storage, not to {target.url}")
        source, copied = self._blob(name), target._blob(target_name)  # noqa: SLF001 - a store of the same kind
        token: str | None = ""
        while token is not None:  # an object of many gigabytes takes several calls
            try:
                with told(self._url(name)):
                    token, _, _ = copied.rewrite(
                        source, token=token or None, if_source_generation_match=generation, retry=DEFAULT_RETRY
                    )
            except PreconditionFailed as error:
                raise NotFound(f"generation {generation} of {self._url(name)} is not the newest") from error
        return target._info(copied)  # noqa: SLF001

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """All objects whose names begin with ``prefix``, in the order of their names, page by page."""
        with _written(self.url):
            pages = self._client.list_blobs(
                self._bucket,
                prefix=self._prefix + prefix,
                start_offset=self._prefix + start_after if start_after else None,
                page_size=PAGE,
                fields=_LISTED,
            )
            for blob in pages:
                info = self._info(blob)
                if info.name > start_after and is_object_name(info.name):
                    yield info

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        """Removes an object; nothing happens when there is none. Raises PreconditionFailed, like ``write``."""
        with suppress(NotFound), told(self._url(name)):
            self._blob(name).delete(if_generation_match=if_generation, retry=DEFAULT_RETRY)

    def _blob(self, name: str) -> Blob:
        if not is_object_name(name):
            raise ValueError(f"{name!r} is no name for an object; its parts may not be empty, '.' or '..'")
        return self._bucket.blob(self._prefix + name)

    def _url(self, name: str) -> str:
        return self.url + name

    def _info(self, blob: Blob) -> ObjectInfo:
        created = cast("datetime", blob.time_created).astimezone(UTC)
        return ObjectInfo(blob.name.removeprefix(self._prefix), int(blob.generation), int(blob.size), created)


class _Told:
    """A stream that the library reads, with errors of ours."""

    def __init__(self, stream: Any, what: str) -> None:
        self._stream = stream
        self._what = what

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes."""
        try:
            with told(self._what):
                data: bytes = self._stream.read(size)
        except (NotFound, PreconditionFailed) as error:
            raise RetryableError(f"{self._what} was replaced while it was read") from error
        return data

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer as far as there are bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _written(what: str) -> Iterator[None]:
    """Like ``told``, for calls by which nothing can be absent but the bucket itself."""
    try:
        with told(what):
            yield
    except NotFound as error:
        raise ConfigurationError(f"{error}; is there such a bucket?") from error


def _kind(name: str) -> str:
    """The content type, so that a browser shows reports and replies; what is compressed is only offered as a file."""
    kind, encoding = _KINDS.guess_type(name)
    return kind if kind and not encoding else "application/octet-stream"
