"""The one SQLite file under ROOT/.epydrop that runs, events and jobs share, so that one transaction can span them.

Owns opening, versions and transactions; knows nothing of what the tables mean.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from epydrop.errors import ConfigurationError, EpydropError, RetryableError
from epydrop.formats.names import LOCAL_STATE
from epydrop_workstation.local import schema

_PASSES = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_INTERRUPT"})


class _Held:
    """The connection of one thread; closed with the thread that it belongs to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class Database:
    """The state file of one ROOT. Any number of threads and processes may use it at once.

    Raises ConfigurationError when the folder cannot be written, or the file is damaged, newer or not ours.
    ``patience`` is how many seconds a writer waits for another before RetryableError.
    """

    def __init__(self, root: Path, *, patience: float = 30.0) -> None:
        self.folder = root.absolute() / LOCAL_STATE
        self.path = self.folder / "state.sqlite"
        self._patience = patience
        self._local = threading.local()
        self._all: weakref.WeakSet[_Held] = weakref.WeakSet()
        self._prepare()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One atomic write; a transaction inside another of the same thread joins it.

        Raises RetryableError when the file stayed locked or the disk is full, ConfigurationError when it is damaged.
        """
        connection = self._connection()
        if connection.in_transaction:
            yield connection
        else:
            with self._told(), _begun(connection):
                yield connection

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a small query, as one consistent picture."""
        with self._told():
            return self._connection().execute(query, values).fetchall()

    def close(self) -> None:
        """Closes the connections of all threads; none may be in use."""
        for held in list(self._all):
            held.connection.close()
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        held: _Held | None = getattr(self._local, "held", None)
        if held is None:
            with self._told():
                held = self._local.held = _Held(self._connect())
            self._all.add(held)
        return held.connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, self._patience, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        # In WAL mode NORMAL loses at most the last writes, and only when the power fails: never at a kill.
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _prepare(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "state.lock").open("a") as lock:
                # Two first users at once: SQLite does not wait its turn for a change of the journal mode.
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._check_version()
        except OSError as error:
            raise ConfigurationError(
                f"{self.folder} cannot hold the state of epydrop: {error}; give another --root, or make it writable"
            ) from error

    def _check_version(self) -> None:
        with self._told():
            (application,) = self._connection().execute("PRAGMA application_id").fetchone()
            (version,) = self._connection().execute("PRAGMA user_version").fetchone()
            (tables,) = self._connection().execute("SELECT count(*) FROM sqlite_master").fetchone()
            if not (application or version or tables):
                self._create()
                return
        if application != schema.APPLICATION_ID:
            raise ConfigurationError(
                f"{self.path} is a database, but not one of epydrop; move it away, or give another --root"
            )
        if version != schema.VERSION:
            raise ConfigurationError(
                f"{self.path} has version {version}, this epydrop reads version {schema.VERSION}; "
                "use the epydrop that made it, or give another --root"
            )

    def _create(self) -> None:
        self._connection().execute("PRAGMA journal_mode = WAL")
        with self.transaction() as connection:
            for statement in schema.TABLES:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {schema.VERSION}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors in our own words; a broken constraint is a bug and stays what it is."""
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
            raise
        except sqlite3.DatabaseError as error:
            raise self._meaning(error) from error

    def _meaning(self, error: sqlite3.DatabaseError) -> EpydropError:
        name = str(getattr(error, "sqlite_errorname", ""))
        if name.startswith(tuple(_PASSES)):
            return RetryableError(f"{self.path} could not be used just now: {error}")
        return ConfigurationError(f"{self.path} cannot be used: {error} ({name}); move it away, or give another --root")


@contextmanager
def _begun(connection: sqlite3.Connection) -> Iterator[None]:
    # IMMEDIATE takes the write lock at once, so a transaction that began never fails for another's sake.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite ends it by itself when the disk is full
            connection.execute("ROLLBACK")
        raise
