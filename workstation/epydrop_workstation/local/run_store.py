"""The RunStore port on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from epydrop.core.run import HistoryEntry, Run
from epydrop.errors import ConfigurationError, PreconditionFailed
from epydrop.formats.names import LOCAL_STATE
from epydrop.formats.serialization import UnknownFormat, from_json, to_json
from epydrop.service.ports import Stored, Unreadable
from epydrop_workstation.local.database import Database

_PAGE = 100


class SqliteRunStore:
    """Runs and their histories. A revision is the number of writes to the run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, run_id: str) -> Stored | None:
        """The run as last saved, or None. Raises UnknownFormat for a document of another version."""
        rows = self._database.rows("SELECT run_id, revision, document FROM runs WHERE run_id = ?", (run_id,))
        return Stored(_run(rows[0]), str(rows[0]["revision"])) if rows else None

    def create(self, run: Run, entry: HistoryEntry) -> None:
        """Stores a new run and its first entry. Raises PreconditionFailed if another write created the run."""
        with self._database.transaction() as connection:
            try:
                connection.execute(
                    "INSERT INTO runs (run_id, revision, is_open, unsettled, md5, created, document)"
                    " VALUES (?, 1, ?, ?, ?, ?, ?)",
                    (run.run_id, *_columns(run), to_json(run)),
                )
            except sqlite3.IntegrityError:
                if self._is_repeated(run, entry):
                    return
                raise PreconditionFailed(f"run {run.run_id} exists already") from None
            _add(connection, run.run_id, 1, entry)

    def save(self, run: Run, revision: str, entry: HistoryEntry) -> None:
        """Replaces the run and adds the entry. Raises PreconditionFailed unless ``revision`` is the newest."""
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE runs SET is_open = ?, unsettled = ?, md5 = ?, created = ?, document = ?,"
                " revision = revision + 1 WHERE run_id = ? AND CAST(revision AS TEXT) = ? RETURNING revision",
                (*_columns(run), to_json(run), run.run_id, revision),
            ).fetchone()
            if changed is None:
                raise PreconditionFailed(f"run {run.run_id} has changed since revision {revision}")
            _add(connection, run.run_id, changed["revision"], entry)

    def unfinished(self) -> Iterator[str]:
        """The ids of all runs that are open or unsettled, page by page."""
        last = ""
        while rows := self._database.rows(
            "SELECT run_id FROM runs WHERE (is_open OR unsettled) AND run_id > ? ORDER BY run_id LIMIT ?",
            (last, _PAGE),
        ):
            yield from (row["run_id"] for row in rows)
            last = rows[-1]["run_id"]

    def newest(self, limit: int) -> Iterator[Run | Unreadable]:
        """The newest runs, newest first; one that cannot be read hides none of the others."""
        before: tuple[float, str] = (float("inf"), "")
        while limit > 0 and (
            rows := self._database.rows(
                "SELECT run_id, created, document FROM runs WHERE (created, run_id) < (?, ?)"
                " ORDER BY created DESC, run_id DESC LIMIT ?",
                (*before, min(limit, _PAGE)),
            )
        ):
            yield from map(_readable_or_not, rows)
            limit -= len(rows)
            before = (rows[-1]["created"], rows[-1]["run_id"])

    def history(self, run_id: str) -> Iterator[HistoryEntry]:
        """All entries of a run, oldest first; nothing for a run that does not exist."""
        last = 0
        while rows := self._database.rows(
            "SELECT revision, document FROM history WHERE run_id = ? AND revision > ? ORDER BY revision LIMIT ?",
            (run_id, last, _PAGE),
        ):
            for row in rows:
                yield from_json(HistoryEntry, row["document"], f"entry {row['revision']} of run {run_id}")
            last = rows[-1]["revision"]

    def resumable(self, md5: str) -> Run | None:
        """The newest open run whose dropped file had this MD5 (in base64), or None. Raises UnknownFormat.

        Not part of the port: only the local command resumes runs.
        """
        rows = self._database.rows(
            "SELECT run_id, document FROM runs WHERE is_open AND md5 = ? ORDER BY created DESC, run_id DESC LIMIT 1",
            (md5,),
        )
        return _run(rows[0]) if rows else None

    def _is_repeated(self, run: Run, entry: HistoryEntry) -> bool:
        """Whether this is a retry of a write that succeeded: the stored run is exactly what it would create."""
        rows = self._database.rows(
            "SELECT 1 FROM runs JOIN history USING (run_id, revision)"
            " WHERE run_id = ? AND revision = 1 AND runs.document = ? AND history.document = ?",
            (run.run_id, to_json(run), to_json(entry)),
        )
        return bool(rows)


def require_runs(root: Path) -> None:
    """Raises ConfigurationError unless the folder holds runs; looking at a mistyped folder must not create one."""
    if not (root / LOCAL_STATE).is_dir():
        raise ConfigurationError(f"{root} holds no runs; --root names the folder that `epydrop run` used")


@contextmanager
def stored_runs(root: Path) -> Iterator[SqliteRunStore]:
    """The runs in a folder, to look at: nothing else of the local cloud is started. Raises ConfigurationError."""
    require_runs(root)
    database = Database(root)
    try:
        yield SqliteRunStore(database)
    finally:
        database.close()


def _columns(run: Run) -> tuple[bool, bool, str, float]:
    return run.phase.is_open, run.unsettled, run.dropped.md5, run.created.timestamp()


def _run(row: sqlite3.Row) -> Run:
    return from_json(Run, row["document"], f"run {row['run_id']}")


def _readable_or_not(row: sqlite3.Row) -> Run | Unreadable:
    try:
        return _run(row)
    except UnknownFormat as error:
        return Unreadable(row["run_id"], error)


def _add(connection: sqlite3.Connection, run_id: str, revision: int, entry: HistoryEntry) -> None:
    connection.execute("INSERT INTO history VALUES (?, ?, ?)", (run_id, revision, to_json(entry)))
