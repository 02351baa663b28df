"""The tables of the emulator's state file: the engine's, the outbox's, and those of the API."""

from __future__ import annotations

from pathlib import Path

from batch_emulator.engine.errors import SetupError
from batch_emulator.engine.job_store import TABLES
from batch_emulator.engine.sqlite_file import Schema, SqliteFile

# The emulator was once a part of epydrop. Its state keeps that folder name and application id ("epdy"), so that a
# folder from that time can still be opened.
STATE_FOLDER = ".epydrop"
_APPLICATION_ID = 0x65706479

_OUTBOX_TABLES = (
    """
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        due REAL NOT NULL,
        deliveries INTEGER NOT NULL DEFAULT 0,
        envelope TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX events_by_time ON events (due, id)",
)

_FILE_SCHEMA = Schema((*_OUTBOX_TABLES, *TABLES), _APPLICATION_ID, version=1)

_VERSION = 1  # of the tables below

# The engine knows a job by its uid: job ids are unique in a location only, and may be used again after a deletion.
_API_TABLES = (
    """
    CREATE TABLE batch_jobs (
        uid TEXT PRIMARY KEY,
        project TEXT NOT NULL,
        location TEXT NOT NULL,
        job_id TEXT NOT NULL,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        run_began REAL,
        run_ended REAL,
        UNIQUE (project, location, job_id)
    ) STRICT
    """,
    "CREATE INDEX batch_jobs_by_time ON batch_jobs (project, created, uid)",
    """
    CREATE TABLE batch_events (
        serial INTEGER PRIMARY KEY,
        uid TEXT NOT NULL,
        position INTEGER NOT NULL,
        moment REAL NOT NULL,
        state TEXT NOT NULL,
        before TEXT NOT NULL,
        retry INTEGER NOT NULL,
        exit_code INTEGER,
        pid INTEGER
    ) STRICT
    """,
    "CREATE INDEX batch_events_by_task ON batch_events (uid, position, serial)",
    """
    CREATE TABLE batch_operations (
        name TEXT PRIMARY KEY,
        project TEXT NOT NULL,
        location TEXT NOT NULL,
        uid TEXT NOT NULL,
        target TEXT NOT NULL,
        verb TEXT NOT NULL,
        began REAL NOT NULL,
        ended REAL
    ) STRICT
    """,
    "CREATE INDEX batch_operations_open ON batch_operations (uid) WHERE ended IS NULL",
    """
    CREATE TABLE batch_requests (
        request_id TEXT NOT NULL,
        verb TEXT NOT NULL,
        result TEXT NOT NULL,
        moment REAL NOT NULL,
        PRIMARY KEY (request_id, verb)
    ) STRICT
    """,
    f"CREATE TABLE batch_version AS SELECT {_VERSION} AS version",
)


def open_state(folder: Path) -> SqliteFile:
    """Opens the state in ``folder``, or creates it. Raises SetupError if it cannot be used or has another version."""
    database = SqliteFile(folder.absolute() / STATE_FOLDER, _FILE_SCHEMA)
    try:
        _create_api_tables(database)
    except BaseException:
        database.close()
        raise
    return database


def _create_api_tables(database: SqliteFile) -> None:
    with database.transaction() as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'batch_version'").fetchone():
            for statement in _API_TABLES:
                connection.execute(statement)
        (version,) = connection.execute("SELECT version FROM batch_version").fetchone()
    if version != _VERSION:
        raise SetupError(
            f"{database.path} holds jobs of version {version}, this batch-emulator reads version {_VERSION}; "
            "use the batch-emulator that made it, or give another --state"
        )
