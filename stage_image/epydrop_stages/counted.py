"""An object store that counts the bytes that pass through it, for the telemetry."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, BinaryIO, cast

from epydrop.ports import ObjectInfo, ObjectStore


class CountedStore:
    """The same store; ``bytes_in`` were read from it, ``bytes_out`` written to it."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.url = store.url
        self.bytes_in = 0
        self.bytes_out = 0

    def stat(self, name: str) -> ObjectInfo | None:
        """As the store's own."""
        return self._store.stat(name)

    def read(self, name: str, *, generation: int | None = None, start: int = 0, end: int | None = None) -> bytes:
        """As the store's own."""
        data = self._store.read(name, generation=generation, start=start, end=end)
        self.bytes_in += len(data)
        return data

    def write(self, name: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        """As the store's own."""
        self.bytes_out += len(data)
        return self._store.write(name, data, if_generation=if_generation)

    @contextmanager
    def _open_read(self, name: str) -> Iterator[BinaryIO]:
        with self._store.open_read(name) as stream:
            yield cast("BinaryIO", _CountedStream(stream, self))

    def open_read(self, name: str) -> AbstractContextManager[BinaryIO]:
        """As the store's own."""
        return self._open_read(name)

    @contextmanager
    def _open_write(self, name: str, if_generation: int | None) -> Iterator[BinaryIO]:
        with self._store.open_write(name, if_generation=if_generation) as stream:
            yield cast("BinaryIO", _CountedStream(stream, self))

    def open_write(self, name: str, *, if_generation: int | None = None) -> AbstractContextManager[BinaryIO]:
        """As the store's own."""
        return self._open_write(name, if_generation)

    def copy(self, name: str, target: ObjectStore, target_name: str, *, generation: int | None = None) -> ObjectInfo:
        """As the store's own; nothing passes through here."""
        return self._store.copy(name, target, target_name, generation=generation)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """As the store's own."""
        return self._store.list(prefix, start_after=start_after)

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        """As the store's own."""
        self._store.delete(name, if_generation=if_generation)


class _CountedStream(io.RawIOBase):
    """A stream whose reads and writes are counted; closing it is left to the store."""

    def __init__(self, stream: BinaryIO, counts: CountedStore) -> None:
        self._stream = stream
        self._counts = counts

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._counts.bytes_in += len(data)
        return data

    def write(self, data: Any) -> int:
        self._counts.bytes_out += len(data)
        return self._stream.write(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()
