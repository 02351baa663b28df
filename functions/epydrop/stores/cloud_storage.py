"""Objects in Cloud Storage, in one bucket or in a folder of one.

Preconditions are generations, the library verifies checksums (CRC32C), and a stream becomes an object only after its
last byte has arrived.
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

from google.api_core.exceptions import RequestRangeNotSatisfiable
from google.cloud.storage import Blob, Client, transfer_manager
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from epydrop.errors import ConfigurationError, NotFound, PreconditionFailed, RetryableError
from epydrop.formats.names import is_object_name
from epydrop.google_errors import translated_errors
from epydrop.stores.port import ObjectInfo, ObjectStore

CHUNK = 8 << 20  # bytes of a stream held in memory; Cloud Storage requires a multiple of 256 KiB
PAGE = 1000  # objects; the most that Cloud Storage lists in one response
UPLOADS_AT_ONCE = 8
CONNECTIONS = 32  # kept open; the output stage reads with 16 threads

_CONTENT_TYPES = mimetypes.MimeTypes()  # Python's own table: the machine's /etc/mime.types would make types vary
_CONTENT_TYPES.add_type("text/markdown", ".md")
# All that ObjectInfo needs; complete metadata would make a list of many results several times larger.
_LISTED = "items(name,generation,size,timeCreated),nextPageToken"


@cache
def storage_client() -> Client:
    """The client that all stores of this process share."""
    # By default the library reads each bucket's metadata in the background, which our service accounts may not do.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    client = Client()
    # The default pool keeps 10 connections; each further thread would open, and then discard, one per request.
    adapter = HTTPAdapter(pool_maxsize=CONNECTIONS)
    for scheme in ("http://", "https://"):
        client._http.mount(scheme, adapter)  # noqa: SLF001 - Google's samples do the same; there is no public way
    return client


class GcsObjectStore:
    """The ObjectStore port. ``prefix`` is empty or ends in '/'; names are relative to it.

    Lists leave out objects whose names the port refuses, such as the folder placeholders that the console creates.
    """

    def __init__(self, client: Client, bucket: str, prefix: str = "") -> None:
        self.url = f"gs://{bucket}/{prefix}"
        self._client = client
        self._bucket = client.bucket(bucket)
        self._prefix = prefix

    def stat(self, name: str) -> ObjectInfo | None:
        """The newest generation of an object, or None if there is no such object."""
        blob = self._blob(name)
        try:
            with translated_errors(self._url(name)):
                blob.reload()
        except NotFound:
            return None
        return self._info(blob)

    def read(self, name: str, *, generation: int | None = None, start: int = 0, end: int | None = None) -> bytes:
        """The bytes from ``start`` up to, not including, ``end``. Raises NotFound; see the port."""
        if end is not None and end <= start:
            return b""
        is_whole = start == 0 and end is None
        try:
            with translated_errors(self._url(name)):
                data: bytes = self._blob(name).download_as_bytes(
                    start=start or None,
                    end=None if end is None else end - 1,
                    raw_download=True,
                    if_generation_match=generation,
                    checksum="crc32c" if is_whole else None,  # the server knows the checksum of the whole object only
                )
        except RequestRangeNotSatisfiable:
            return b""  # ``start`` is at or after the end
        except PreconditionFailed as error:
            raise NotFound(f"generation {generation} of {self._url(name)} is not the newest") from error
        return data

    @contextmanager
    def open_read(self, name: str) -> Iterator[BinaryIO]:
        """The newest generation of an object as a seekable stream. Raises NotFound.

        If the object is replaced while the stream is open, the next read raises RetryableError. Objects of up to CHUNK
        bytes are read in one request, so that seeking in them costs nothing.
        """
        blob = self._blob(name)
        with translated_errors(self._url(name)):
            blob.reload()
        if blob.size <= CHUNK:
            yield self._in_memory(name, blob.generation)
            return
        options = {"if_generation_match": blob.generation, "raw_download": True}
        with blob.open("rb", chunk_size=CHUNK, **options) as stream:
            yield cast("BinaryIO", _TranslatingStream(stream, self._url(name)))

    def _in_memory(self, name: str, generation: int) -> BinaryIO:
        try:
            return BytesIO(self.read(name, generation=generation))
        except NotFound as error:
            raise RetryableError(f"{self._url(name)} was replaced while it was being read") from error

    def write(self, name: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        """Stores an object. Raises PreconditionFailed; see the port."""
        blob = self._blob(name)
        with _bucket_errors(self._url(name)):
            blob.upload_from_string(
                data, content_type=_content_type(name), if_generation_match=if_generation, checksum="crc32c"
            )
        return self._info(blob)

    @contextmanager
    def open_write(self, name: str, *, if_generation: int | None = None) -> Iterator[BinaryIO]:
        """A stream whose content becomes the object when the block ends; if the block raises, nothing is stored.

        The bytes are buffered in memory, above CHUNK in a temporary file. The library's own writer uploads as it goes,
        but completes the upload when it is garbage collected, even after an exception.
        """
        blob = self._blob(name)
        blob.chunk_size = CHUNK
        with SpooledTemporaryFile(CHUNK) as stream:
            yield cast("BinaryIO", stream)
            size = stream.seek(0, 2)
            stream.seek(0)
            with _bucket_errors(self._url(name)):
                blob.upload_from_file(
                    stream,
                    size=size,
                    content_type=_content_type(name),
                    if_generation_match=if_generation,
                    checksum="crc32c",
                )

    def write_files(self, files: Mapping[str, Path]) -> None:
        """Stores each file under its name, several at a time. Not atomic: if one fails, others may have been stored."""
        pairs = [(str(path), self._blob(name)) for name, path in files.items()]
        for name, (_, blob) in zip(files, pairs, strict=True):
            blob.content_type = _content_type(name)
        with _bucket_errors(self.url):
            transfer_manager.upload_many(
                pairs,
                upload_kwargs={"checksum": "crc32c"},
                raise_exception=True,
                worker_type=transfer_manager.THREAD,
                max_workers=UPLOADS_AT_ONCE,
            )

    def copy(self, name: str, target: ObjectStore, target_name: str, *, generation: int | None = None) -> ObjectInfo:
        """Copies an object within Cloud Storage; the bytes stay there. Raises NotFound, like ``read``."""
        if not isinstance(target, GcsObjectStore):
            raise TypeError(f"an object can only be copied within Cloud Storage, not to {target.url}")
        source, copied = self._blob(name), target._blob(target_name)  # noqa: SLF001 - a store of the same class
        token: str | None = ""
        while token is not None:  # a large object takes several calls
            try:
                with translated_errors(self._url(name)):
                    token, _, _ = copied.rewrite(
                        source, token=token or None, if_source_generation_match=generation, retry=DEFAULT_RETRY
                    )
            except PreconditionFailed as error:
                raise NotFound(f"generation {generation} of {self._url(name)} is not the newest") from error
        return target._info(copied)  # noqa: SLF001

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """All objects whose names begin with ``prefix`` and sort after ``start_after``; fetches one page at a time."""
        with _bucket_errors(self.url):
            pages = self._client.list_blobs(
                self._bucket,
                prefix=self._prefix + prefix,
                start_offset=self._prefix + start_after if start_after else None,
                page_size=PAGE,
                fields=_LISTED,
            )
            for blob in pages:
                info = self._info(blob)
                if info.name > start_after and is_object_name(info.name):  # the offset itself is in Google's list
                    yield info

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        """Deletes an object; does nothing if there is none. Raises PreconditionFailed, like ``write``."""
        with suppress(NotFound), translated_errors(self._url(name)):
            self._blob(name).delete(if_generation_match=if_generation, retry=DEFAULT_RETRY)

    def _blob(self, name: str) -> Blob:
        if not is_object_name(name):
            raise ValueError(f"{name!r} is not a valid object name; no part may be empty, '.' or '..'")
        return self._bucket.blob(self._prefix + name)

    def _url(self, name: str) -> str:
        return self.url + name

    def _info(self, blob: Blob) -> ObjectInfo:
        created = cast("datetime", blob.time_created).astimezone(UTC)
        return ObjectInfo(blob.name.removeprefix(self._prefix), int(blob.generation), int(blob.size), created)


class _TranslatingStream:
    """A stream of the library that raises our errors. ``url`` names the object in them."""

    def __init__(self, stream: Any, url: str) -> None:
        self._stream = stream
        self._url = url

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes."""
        try:
            with translated_errors(self._url):
                data: bytes = self._stream.read(size)
        except (NotFound, PreconditionFailed) as error:
            raise RetryableError(f"{self._url} was replaced while it was being read") from error
        return data

    def readinto(self, buffer: Any) -> int:
        """Reads into the buffer; returns the number of bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _bucket_errors(url: str) -> Iterator[None]:
    """Like ``translated_errors``, for writing and listing: here a 404 means that the bucket is missing."""
    try:
        with translated_errors(url):
            yield
    except NotFound as error:
        raise ConfigurationError(f"{error}; does the bucket exist?") from error


def _content_type(name: str) -> str:
    """The content type by which a browser shows reports and replies, and downloads compressed files."""
    kind, encoding = _CONTENT_TYPES.guess_type(name)
    return kind if kind and not encoding else "application/octet-stream"
