"""What the core needs of the world, as protocols. Each promise below is tested on every adapter by one contract suite.

Implementations: ``epydrop.local`` (SQLite, files, processes) and ``epydrop.gcp`` (Firestore, Cloud Storage, Batch).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from epydrop.core.jobs import JobSpec, JobView, TaskEnd
from epydrop.core.run import HistoryEntry, Run


@dataclass(frozen=True)
class Stored:
    """A run with the revision it was read at; the revision means something to its own store only."""

    run: Run
    revision: str


class RunStore(Protocol):
    """The runs and their histories."""

    def load(self, run_id: str) -> Stored | None:
        """The run as last saved, or None. Raises UnknownFormat for a document of a newer version."""

    def create(self, run: Run, entry: HistoryEntry) -> None:
        """Stores a new run and its first history entry, both or neither.

        Raises PreconditionFailed if the run exists, except when it is this very write repeated.
        """

    def save(self, run: Run, revision: str, entry: HistoryEntry) -> None:
        """Replaces the run and adds the entry, both or neither. Raises PreconditionFailed unless ``revision`` is the newest."""

    def unfinished(self) -> Iterator[str]:
        """The ids of all runs that are open or unsettled, page by page."""

    def newest(self, limit: int) -> Iterator[Run]:
        """The newest runs, newest first."""

    def history(self, run_id: str) -> Iterator[HistoryEntry]:
        """All entries of a run, oldest first; nothing for a run that does not exist."""


class JobService(Protocol):
    """Array jobs under ids that we choose."""

    def submit(self, spec: JobSpec) -> JobView:
        """Creates the job. Submitting it again returns the job that is there, whatever has become of it.

        Raises BadInput if a job of that id carries other labels, or the specification is refused; RetryableError otherwise.
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
        """Sends a JSON message to the topic 'kicks' or 'runs'. Raises RetryableError if that failed."""
