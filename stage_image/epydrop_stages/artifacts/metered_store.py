"""An object store that counts the bytes that pass through it; the counts go into the telemetry."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from epydrop.errors import NotFound
from epydrop.stores.port import ObjectInfo, ObjectStore
from epydrop_stages.artifacts.usage import Usage

_PARALLEL_READS = 16  # a bucket answers in tens of milliseconds; 16 waits side by side cost one thread each


class MeteredStore:
    """Wraps a store; every byte read or written adds to ``usage``. Its methods behave like those of the store."""

    def __init__(self, store: ObjectStore, usage: Usage) -> None:
        self._store = store
        self.url = store.url
        self.usage = usage

    def stat(self, name: str) -> ObjectInfo | None:
        """As in the store."""
        return self._store.stat(name)

    def read(self, name: str, *, generation: int | None = None, start: int = 0, end: int | None = None) -> bytes:
        """As in the store."""
        data = self._store.read(name, generation=generation, start=start, end=end)
        self.usage.bytes_in += len(data)
        return data

    def read_each(self, names: Iterable[str]) -> Iterator[bytes | None]:
        """Many small objects, read in parallel and yielded in the order of the names; None if one does not exist.

        The reading threads end when the iterator is exhausted or closed.
        """
        with ThreadPoolExecutor(_PARALLEL_READS) as threads:
            for data in threads.map(self._read_or_none, names):
                self.usage.bytes_in += len(data or b"")
                yield data

    def _read_or_none(self, name: str) -> bytes | None:
        try:
            return self._store.read(name)
        except NotFound:
            return None

    def prefetch(self, names: Iterable[str], limit: int) -> Prefetched:
        """Read the first objects, at most ``limit`` bytes in all, and hold them in memory until they are opened.

        May run in another thread, because bytes are counted only when an object is opened. An object that is missing
        or unreadable now is read again when it is opened, and the error is raised there.
        """
        return Prefetched(self, dict(self._read_first(names, limit)))

    def _read_first(self, names: Iterable[str], limit: int) -> Iterator[tuple[str, bytes]]:
        for name in names:
            # Prefetching only saves time; whoever opens the object gets the error.
            with suppress(Exception), self._store.open_read(name) as stream:
                limit -= stream.seek(0, io.SEEK_END)
                if limit < 0:
                    return
                stream.seek(0)
                yield name, stream.read()

    def write(self, name: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        """As in the store."""
        self.usage.bytes_out += len(data)
        return self._store.write(name, data, if_generation=if_generation)

    @contextmanager
    def _open_read(self, name: str) -> Iterator[BinaryIO]:
        with self._store.open_read(name) as stream:
            yield cast("BinaryIO", _MeteredStream(stream, self.usage))

    def open_read(self, name: str) -> AbstractContextManager[BinaryIO]:
        """As in the store."""
        return self._open_read(name)

    @contextmanager
    def _open_write(self, name: str, if_generation: int | None) -> Iterator[BinaryIO]:
        with self._store.open_write(name, if_generation=if_generation) as stream:
            yield cast("BinaryIO", _MeteredStream(stream, self.usage))

    def open_write(self, name: str, *, if_generation: int | None = None) -> AbstractContextManager[BinaryIO]:
        """As in the store."""
        return self._open_write(name, if_generation)

    def write_files(self, files: Mapping[str, Path]) -> None:
        """As in the store."""
        self._store.write_files(files)
        self.usage.bytes_out += sum(path.stat().st_size for path in files.values())

    def copy(self, name: str, target: ObjectStore, target_name: str, *, generation: int | None = None) -> ObjectInfo:
        """As in the store. Nothing is counted: the bytes do not pass through this process."""
        return self._store.copy(name, target, target_name, generation=generation)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """As in the store."""
        return self._store.list(prefix, start_after=start_after)

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        """As in the store."""
        self._store.delete(name, if_generation=if_generation)


class Prefetched:
    """A source of objects, some of which are in memory; each of these is dropped from memory once it is opened."""

    def __init__(self, store: MeteredStore, data: dict[str, bytes]) -> None:
        self._store = store
        self._data = data

    @contextmanager
    def open_read(self, name: str) -> Iterator[BinaryIO]:
        """As in the store."""
        data = self._data.pop(name, None)
        if data is None:
            with self._store.open_read(name) as stream:
                yield stream
        else:
            self._store.usage.bytes_in += len(data)
            yield io.BytesIO(data)


class _MeteredStream(io.RawIOBase):
    """A stream that counts what is read and written; the store closes the underlying stream."""

    def __init__(self, stream: BinaryIO, usage: Usage) -> None:
        self._stream = stream
        self._usage = usage

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._usage.bytes_in += len(data)
        return data

    def write(self, data: Any) -> int:
        self._usage.bytes_out += len(data)
        return self._stream.write(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()
