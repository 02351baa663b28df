"""Runs and their histories in Firestore: documents ``runs/{run_id}``, each with a subcollection ``history``.

A save is an update that demands the document's last update time, and the history entry goes with it in one batch.
The queries need no composite index; ``indexes.json`` says what is indexed and what expires.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from google.api_core.datetime_helpers import DatetimeWithNanoseconds
from google.cloud.firestore import DELETE_FIELD, Client, FieldFilter, Query

from epydrop.core.run import HistoryEntry, Run
from epydrop.errors import ConfigurationError, NotFound, PreconditionFailed
from epydrop.formats.serialization import UnknownFormat
from epydrop.gcp import run_document
from epydrop.google_errors import translated_errors
from epydrop.service.ports import Stored, Unreadable

Snapshot = Any  # a document as the library read it; its own type says less than it knows
Reference = Any

_PAGE = 200
_SETTLED = "/settled"  # ends the revision of a settled run


class FirestoreRunStore:
    """The RunStore port. A revision is the document's update time, and whether the run was settled then."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._runs: Any = client.collection(run_document.RUNS)

    def load(self, run_id: str) -> Stored | None:
        """The run as last saved, or None. Raises UnknownFormat for a document of a newer version."""
        with _read(f"run {run_id}"):
            snapshot = self._runs.document(run_id).get()
        if not snapshot.exists:
            return None
        run = _run(snapshot)
        settled = "" if run_document.is_unfinished(run) else _SETTLED
        return Stored(run, snapshot.update_time.rfc3339() + settled)

    def create(self, run: Run, entry: HistoryEntry) -> None:
        """Stores a new run and its first entry. Raises PreconditionFailed if it exists and is not exactly this."""
        fields, first = run_document.run_fields(run, entry), run_document.entry_fields(entry, run.run_id)
        batch = self._client.batch()
        batch.create(self._runs.document(run.run_id), fields)
        batch.create(self._entry(run.run_id, entry.serial), first)
        try:
            with translated_errors(f"run {run.run_id}"):
                batch.commit()
        except PreconditionFailed:  # perhaps by this very commit, which the library sent again when the answer was lost
            if not self._is_repeated(run.run_id, entry.serial, fields, first):
                raise PreconditionFailed(f"run {run.run_id} exists already") from None
        if not run_document.is_unfinished(run):
            self._set_expiry(run)

    def save(self, run: Run, revision: str, entry: HistoryEntry) -> None:
        """Replaces the run and adds the entry. Raises PreconditionFailed unless ``revision`` is the newest."""
        if revision.endswith(_SETTLED) and run_document.is_unfinished(run):
            self._set_expiry(run)  # first, so that a call that dies here leaves a history that stays too long
        newest = DatetimeWithNanoseconds.from_rfc3339(revision.removesuffix(_SETTLED))
        batch = self._client.batch()
        batch.update(
            self._runs.document(run.run_id),
            {"expires_at": DELETE_FIELD, **run_document.run_fields(run, entry)},
            option=self._client.write_option(last_update_time=newest),
        )
        batch.create(self._entry(run.run_id, entry.serial), run_document.entry_fields(entry, run.run_id))
        try:
            with translated_errors(f"run {run.run_id}"):
                batch.commit()
        except (PreconditionFailed, NotFound):
            raise PreconditionFailed(f"run {run.run_id} has changed since revision {revision}") from None
        if not run_document.is_unfinished(run):
            self._set_expiry(run)

    def unfinished(self) -> Iterator[str]:
        """The ids of all runs that are open or unsettled, page by page."""
        query = self._runs.where(filter=FieldFilter("unfinished", "==", True)).order_by("__name__").select([])
        return (snapshot.id for snapshot in _pages(query, "the unfinished runs"))

    def newest(self, limit: int) -> Iterator[Run | Unreadable]:
        """The newest runs, newest first; one that cannot be read hides none of the others."""
        query = self._runs.order_by("created", direction=Query.DESCENDING).order_by(
            "__name__", direction=Query.DESCENDING
        )
        return map(_readable_or_not, _pages(query, "the newest runs", limit))

    def history(self, run_id: str) -> Iterator[HistoryEntry]:
        """All entries of a run, oldest first; nothing for a run that does not exist."""
        for snapshot in _pages(self._history(run_id), f"the history of run {run_id}"):
            source = f"entry {snapshot.id} of run {run_id}"
            yield run_document.read_fields(HistoryEntry, snapshot.to_dict(), source)

    def _entry(self, run_id: str, serial: int) -> Reference:
        return self._runs.document(run_id).collection(run_document.HISTORY).document(f"{serial:06d}")

    def _history(self, run_id: str) -> Query:
        query: Query = self._runs.document(run_id).collection(run_document.HISTORY).order_by("__name__")
        return query

    def _set_expiry(self, run: Run) -> None:
        """Lets the whole history expire after a run that is settled, and keeps it while the run is unfinished.

        A run settles once or twice in its life, so this costs no event more than a few pages of writes.
        """
        moment = run_document.expiry_of_history(run)
        pending = self._client.batch()
        entries = _pages(self._history(run.run_id).select([]), f"the history of run {run.run_id}")
        for number, snapshot in enumerate(entries, start=1):
            pending.update(snapshot.reference, {"expires_at": moment or DELETE_FIELD})
            if number % _PAGE == 0:
                _commit(pending, run.run_id)
                pending = self._client.batch()
        _commit(pending, run.run_id)

    def _is_repeated(self, run_id: str, serial: int, fields: dict[str, Any], first: dict[str, Any]) -> bool:
        """Whether the run is still what this very write made of it."""
        with _read(f"run {run_id}"):
            run, entry = self._runs.document(run_id).get(), self._entry(run_id, serial).get()
        return bool(run.create_time == run.update_time and run.to_dict() == fields and entry.to_dict() == first)


@contextmanager
def _read(what: str) -> Iterator[None]:
    """Like ``translated_errors``, for reads: here a 404 means that the database or an index is missing."""
    try:
        with translated_errors(what):
            yield
    except (NotFound, PreconditionFailed) as error:
        raise ConfigurationError(f"{error}; terraform makes the database and its indexes") from error


def _run(snapshot: Snapshot) -> Run:
    return run_document.read_fields(Run, snapshot.to_dict(), f"run {snapshot.id}")


def _readable_or_not(snapshot: Snapshot) -> Run | Unreadable:
    try:
        return _run(snapshot)
    except UnknownFormat as error:
        return Unreadable(snapshot.id, error)


def _pages(query: Query, what: str, limit: int | None = None) -> Iterator[Snapshot]:
    """All documents of a query, or the first few, in pages of their own, so that no stream stays open for long."""
    last = None
    while limit is None or limit > 0:
        size = _PAGE if limit is None else min(_PAGE, limit)
        page = query.limit(size) if last is None else query.limit(size).start_after(last)
        with _read(what):
            found = page.get()
        yield from found
        if len(found) < size:
            return
        last = found[-1]
        limit = None if limit is None else limit - len(found)


def _commit(batch: Any, run_id: str) -> None:
    with translated_errors(f"the history of run {run_id}"):
        batch.commit()
