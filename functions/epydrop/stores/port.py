"""Where objects lie, as a protocol. One contract suite tests each promise below on every adapter.

Implementations: ``stores.folder`` (a folder of this machine) and ``stores.cloud_storage``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class ObjectInfo:
    """One generation of an object. ``generation`` grows with every write to the name."""

    name: str
    generation: int
    size: int
    created: datetime


class ObjectStore(Protocol):
    """Objects under one URL (a bucket, or a folder of one). Names are relative to it and use '/'.

    An object appears whole or not at all. Names with an empty, '.' or '..' part raise ValueError.
    """

    url: str

    def stat(self, name: str) -> ObjectInfo | None:
        """The newest generation of an object, or None."""

    def read(self, name: str, *, generation: int | None = None, start: int = 0, end: int | None = None) -> bytes:
        """The bytes from ``start`` up to ``end``. Raises NotFound, also when that generation is not the newest."""

    def open_read(self, name: str) -> AbstractContextManager[BinaryIO]:
        """The object as a seekable stream. Raises NotFound."""

    def write(self, name: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        """Stores an object. ``if_generation`` 0 demands that none exists, n that n is the newest: else PreconditionFailed."""

    def open_write(self, name: str, *, if_generation: int | None = None) -> AbstractContextManager[BinaryIO]:
        """A stream whose object appears when the block ends without an exception, and never otherwise."""

    def write_files(self, files: Mapping[str, Path]) -> None:
        """Stores each file under its name, several at a time; where one fails, others may be there."""

    def copy(self, name: str, target: ObjectStore, target_name: str, *, generation: int | None = None) -> ObjectInfo:
        """Copies an object to a store of the same kind. Raises NotFound, like ``read``."""

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """All objects whose names begin with ``prefix``, in the order of their names, page by page."""

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        """Removes an object; nothing happens when there is none. Raises PreconditionFailed, like ``write``."""
