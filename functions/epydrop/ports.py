"""What the core needs of the world, as protocols. Each promise below is tested on every adapter by one contract suite.

Implementations: ``epydrop.local`` (SQLite, files, processes) and ``epydrop.gcp`` (Firestore, Cloud Storage, Batch).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from epydrop.jobs import JobSpec, JobView, TaskEnd
from epydrop.run import HistoryEntry, Run


@dataclass(frozen=True)
class Stored:
    """A run with the revision it was read at; the revision means something to its own store only."""

    run: Run
    revision: str


@dataclass(frozen=True)
class ObjectInfo:
    """One generation of an object. ``generation`` grows with every write to the name."""

    name: str
    generation: int
    size: int
    created: datetime


class RunStore(Protocol):
    """The runs and their histories."""

    def load(self, run_id: str) -> Stored | None:
        """The run as last saved, or None. Raises UnknownFormat for a document of a newer version."""

    def create(self, run: Run, entry: HistoryEntry) -> None:
        """Stores a new run and its first history entry, both or neither.

        Raises Outdated if the run exists, except when it is this very write repeated.
        """

    def save(self, run: Run, revision: str, entry: HistoryEntry) -> None:
        """Replaces the run and adds the entry, both or neither. Raises Outdated unless ``revision`` is the newest."""

    def unfinished(self) -> Iterator[str]:
        """The ids of all runs that are open or unsettled, page by page."""

    def newest(self, limit: int) -> Iterator[Run]:
        """The newest runs, newest first."""

    def history(self, run_id: str) -> Iterator[HistoryEntry]:
        """All entries of a run, oldest first; nothing for a run that does not exist."""


class ObjectStore(Protocol):
    """Objects under one URL (a bucket, or a folder of one). Names are relative to it and use '/'.

    An object appears whole or not at all. Names with an empty, '.' or '..' part raise ValueError.
    """

    url: str

    def stat(self, name: str) -> ObjectInfo | None:
        """The newest generation of an object, or None."""

    def read(self, name: str, *, generation: int | None = None, start: int = 0, end: int | None = None) -> bytes:
        """The bytes from ``start`` up to ``end``. Raises NotThere, also when that generation is not the newest."""

    def open_read(self, name: str) -> AbstractContextManager[BinaryIO]:
        """The object as a seekable stream. Raises NotThere."""

    def write(self, name: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        """Stores an object. ``if_generation`` 0 demands that none exists, n that n is the newest: else Outdated."""

    def open_write(self, name: str, *, if_generation: int | None = None) -> AbstractContextManager[BinaryIO]:
        """A stream whose object appears when the block ends without an exception, and never otherwise."""

    def write_files(self, files: Mapping[str, Path]) -> None:
        """Stores each file under its name, several at a time; where one fails, others may be there."""

    def copy(self, name: str, target: ObjectStore, target_name: str, *, generation: int | None = None) -> ObjectInfo:
        """Copies an object to a store of the same kind. Raises NotThere, like ``read``."""

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """All objects whose names begin with ``prefix``, in the order of their names, page by page."""

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        """Removes an object; nothing happens when there is none. Raises Outdated, like ``write``."""


class JobService(Protocol):
    """Array jobs under ids that we choose."""

    def submit(self, spec: JobSpec) -> JobView:
        """Creates the job. Submitting it again returns the job that is there, whatever has become of it.

        Raises BadInput if a job of that id carries other labels, or the specification is refused; TryAgain otherwise.
        """

    def get(self, job_id: str) -> JobView | None:
        """The job as it is now, or None if there is none."""

    def cancel(self, job_id: str) -> None:
        """Asks for the end of a job. Nothing happens when it has ended, was asked already, or does not exist."""

    def failed_tasks(self, job_id: str) -> Iterator[TaskEnd]:
        """The tasks that ended without success or never ran, page by page; nothing for a job that does not exist."""


class Publisher(Protocol):
    """Messages to our own topics."""

    def publish(self, topic: str, message: dict[str, Any]) -> None:
        """Sends a JSON message to the topic 'kicks' or 'runs'. Raises TryAgain if that failed."""
