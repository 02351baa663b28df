"""The ports of the service. One contract suite tests every promise below on every adapter.

Implementations: ``epydrop.local`` (SQLite, files, processes) and ``epydrop.gcp`` (Firestore, Cloud Storage, Batch).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from epydrop.core.jobs import JobSpec, JobView, TaskEnd
from epydrop.core.run import HistoryEntry, Run
from epydrop.formats.serialization import UnknownFormat


@dataclass(frozen=True)
class Stored:
    """A run and the revision it was read at, which only its own store can interpret."""

    run: Run
    revision: str


@dataclass(frozen=True)
class Unreadable:
    """A stored run that this version cannot read, and the error that says why."""

    run_id: str
    error: UnknownFormat


class RunStore(Protocol):
    """The runs and their histories."""

    def load(self, run_id: str) -> Stored | None:
        """The run as last saved, or None. Raises UnknownFormat for a document of a newer version."""

    def create(self, run: Run, entry: HistoryEntry) -> None:
        """Store a new run and its first history entry, both or neither.

        Raises PreconditionFailed if the run exists, except when it is this very write repeated.
        """

    def save(self, run: Run, revision: str, entry: HistoryEntry) -> None:
        """Replace the run and add the entry, both or neither.

        Raises PreconditionFailed unless ``revision`` is the newest.
        """

    def unfinished(self) -> Iterator[str]:
        """The ids of all runs that are open or unsettled, page by page."""

    def newest(self, limit: int) -> Iterator[Run | Unreadable]:
        """The newest runs, newest first; one that cannot be read hides none of the others."""

    def history(self, run_id: str) -> Iterator[HistoryEntry]:
        """All entries of a run, oldest first; nothing for a run that does not exist."""


class JobService(Protocol):
    """Array jobs under ids that we choose."""

    def submit(self, spec: JobSpec) -> JobView:
        """Create the job. Submitting it again returns the existing job, in whatever state.

        Raises BadInput if the specification is refused, or a job of that id has other labels; RetryableError otherwise.
        """

    def get(self, job_id: str) -> JobView | None:
        """The job as it is now, or None if there is none."""

    def cancel(self, job_id: str) -> None:
        """Ask for the end of a job. Does nothing if it has ended, is being cancelled, or does not exist."""

    def failed_tasks(self, job_id: str) -> Iterator[TaskEnd]:
        """The tasks that ended without success or never ran, page by page; nothing for a job that does not exist."""


class Publisher(Protocol):
    """Messages on our own topics."""

    def publish(self, topic: str, message: dict[str, Any]) -> None:
        """Publish a JSON message on the topic 'kicks' or 'runs'. Raises RetryableError on failure."""
