"""The ObjectStore port. One contract suite tests every promise below on both implementations.

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
    """One generation of an object. ``size`` in bytes; ``generation`` increases with every write to the name."""

    name: str
    generation: int
    size: int
    created: datetime


class ObjectStore(Protocol):
    """Objects under one URL: a bucket, or a folder of one. Names are relative to it and use '/'.

    Readers see a whole object or none. Names with an empty, '.' or '..' part raise ValueError. Any method may raise
    RetryableError when the storage does not answer, and ConfigurationError when it does not allow the access.
    """

    url: str

    def stat(self, name: str) -> ObjectInfo | None:
        """The newest generation of an object, or None if there is no such object."""

    def read(self, name: str, *, generation: int | None = None, start: int = 0, end: int | None = None) -> bytes:
        """The bytes from ``start`` up to, not including, ``end``.

        Raises NotFound if there is no object, or if ``generation`` is given and is not the newest.
        """

    def open_read(self, name: str) -> AbstractContextManager[BinaryIO]:
        """The object as a seekable stream. Raises NotFound."""

    def write(self, name: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        """Stores an object.

        With ``if_generation`` 0 the object must not exist yet, with n its newest generation must be n; otherwise raises
        PreconditionFailed.
        """

    def open_write(self, name: str, *, if_generation: int | None = None) -> AbstractContextManager[BinaryIO]:
        """A stream whose content becomes the object when the block ends; if the block raises, nothing is stored."""

    def write_files(self, files: Mapping[str, Path]) -> None:
        """Stores each file under its name. Not atomic: if one fails, others may have been stored."""

    def copy(self, name: str, target: ObjectStore, target_name: str, *, generation: int | None = None) -> ObjectInfo:
        """Copies an object to a store of the same kind. Raises NotFound, like ``read``."""

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """All objects whose names begin with ``prefix`` and sort after ``start_after``, by the bytes of their names."""

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        """Deletes an object; does nothing if there is none. Raises PreconditionFailed, like ``write``."""
