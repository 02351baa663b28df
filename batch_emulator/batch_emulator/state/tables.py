"""What the API remembers beside the supervisor's own tables, in the same file: names, events, operations, requests."""

from __future__ import annotations

from epydrop.errors import ConfigurationError
from epydrop_workstation.local.database import Database

_VERSION = 1

# A job's key in the supervisor's tables is its uid: ids are unique in a location only, and come again after a deletion.
_TABLES = (
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


def prepare(database: Database) -> None:
    """Makes the tables, if they are not there. Raises ConfigurationError for those of another version."""
    with database.transaction() as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'batch_version'").fetchone():
            for statement in _TABLES:
                connection.execute(statement)
        (version,) = connection.execute("SELECT version FROM batch_version").fetchone()
    if version != _VERSION:
        raise ConfigurationError(
            f"{database.path} holds jobs of version {version}, this epydrop reads version {_VERSION}; "
            "use the epydrop that made it, or give another --state"
        )
