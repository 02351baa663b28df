"""One SQLite file that several threads and processes share: opening, versions and transactions.

Knows nothing of what the tables mean, so that a program can keep tables of its own beside the engine's and
change both in one transaction.
"""

from __future__ import annotations

import errno
import fcntl
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from batch_emulator.engine.errors import SetupError, UnavailableError

# SQLite's extended error names begin with these words, as in SQLITE_BUSY_SNAPSHOT.
_TRANSIENT = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_INTERRUPT")


@dataclass(frozen=True)
class Schema:
    """The statements that create the tables, and the two numbers by which SQLite tells files apart."""

    tables: tuple[str, ...]
    application_id: int
    version: int


class _ThreadConnection:
    """The connection of one thread; closed when the thread ends and drops its last reference."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class SqliteFile:
    """``state.sqlite`` in a folder. Any number of threads and processes may use it at once.

    ``patience`` is how many seconds a writer waits for another. A subclass sets the class variables to raise
    errors of its own, and to name its program and its option for the folder in messages.
    """

    program: ClassVar[str] = "batch-emulator"
    folder_option: ClassVar[str] = "--state"
    retryable_error: ClassVar[type[Exception]] = UnavailableError
    permanent_error: ClassVar[type[Exception]] = SetupError

    def __init__(self, folder: Path, schema: Schema, *, patience: float = 30.0) -> None:
        self.folder = folder
        self.path = folder / "state.sqlite"
        self._schema = schema
        self._patience = patience
        self._local = threading.local()  # SQLite's transactions belong to a connection, so each thread needs its own
        self._all: weakref.WeakSet[_ThreadConnection] = weakref.WeakSet()
        self._prepare()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One atomic write; a transaction inside another of the same thread joins it.

        Raises the retryable error when the file stayed locked or the disk is full, the permanent one when the
        file is damaged.
        """
        connection = self._connection()
        if connection.in_transaction:
            yield connection
        else:
            with self._translated_errors(), _write_transaction(connection):
                yield connection

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a query, read at once: a consistent snapshot, for small results."""
        with self._translated_errors():
            return self._connection().execute(query, values).fetchall()

    def close(self) -> None:
        """Closes the connections of all threads; none may be in use."""
        for entry in list(self._all):
            entry.connection.close()
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        entry: _ThreadConnection | None = getattr(self._local, "entry", None)
        if entry is None:
            with self._translated_errors():
                entry = self._local.entry = _ThreadConnection(self._connect())
            self._all.add(entry)
        return entry.connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=self._patience, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        # In WAL mode, NORMAL can lose the last writes in a power failure, but not when a process is killed.
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _prepare(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "state.lock").open("a") as lock:
                # When two processes create the file at once: SQLite does not wait for a change of the journal mode.
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._check_version()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self.retryable_error(f"{self.folder} cannot be used just now: {error}") from error
            raise self.permanent_error(
                f"{self.folder} cannot hold the state of {self.program}: {error}; "
                f"give another {self.folder_option}, or make it writable"
            ) from error

    def _check_version(self) -> None:
        with self._translated_errors():
            (application,) = self._connection().execute("PRAGMA application_id").fetchone()
            (version,) = self._connection().execute("PRAGMA user_version").fetchone()
            (tables,) = self._connection().execute("SELECT count(*) FROM sqlite_master").fetchone()
            if not (application or version or tables):
                self._create()
                return
        if application != self._schema.application_id:
            raise self.permanent_error(
                f"{self.path} is a database, but not one of {self.program}; "
                f"move it away, or give another {self.folder_option}"
            )
        if version != self._schema.version:
            raise self.permanent_error(
                f"{self.path} has version {version}, this {self.program} reads version {self._schema.version}; "
                f"use the {self.program} that made it, or give another {self.folder_option}"
            )

    def _create(self) -> None:
        self._connection().execute("PRAGMA journal_mode = WAL")
        with self.transaction() as connection:
            for statement in self._schema.tables:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {self._schema.application_id}")
            connection.execute(f"PRAGMA user_version = {self._schema.version}")

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """SQLite's errors as ours; a violated constraint is a bug of the caller and passes unchanged."""
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
            raise
        except sqlite3.DatabaseError as error:
            raise self._translated(error) from error

    def _translated(self, error: sqlite3.DatabaseError) -> Exception:
        name = str(getattr(error, "sqlite_errorname", ""))
        if name.startswith(_TRANSIENT):
            return self.retryable_error(f"{self.path} could not be used just now: {error}")
        return self.permanent_error(
            f"{self.path} cannot be used: {error} ({name}); move it away, or give another {self.folder_option}"
        )


@contextmanager
def _write_transaction(connection: sqlite3.Connection) -> Iterator[None]:
    # IMMEDIATE takes the write lock at once: a transaction that has begun never fails because of another's.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite rolls back by itself when the disk is full
            connection.execute("ROLLBACK")
        raise
