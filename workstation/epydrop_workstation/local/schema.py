"""The tables of the state file, and the numbers by which it is known as ours."""

from __future__ import annotations

APPLICATION_ID = 0x65706479  # "epdy": what ``file`` and SQLite's own tools show of whose file this is
VERSION = 1

# The state of a run stands in columns only where a query needs it; the document alone is what is read back.
TABLES = (
    """
    CREATE TABLE runs (
        run_id TEXT PRIMARY KEY,
        revision INTEGER NOT NULL,
        is_open INTEGER NOT NULL,
        unsettled INTEGER NOT NULL,
        md5 TEXT NOT NULL,
        created REAL NOT NULL,
        document BLOB NOT NULL
    ) STRICT
    """,
    "CREATE INDEX runs_unfinished ON runs (run_id) WHERE is_open OR unsettled",
    "CREATE INDEX runs_by_time ON runs (created, run_id)",
    "CREATE INDEX runs_by_md5 ON runs (md5, created) WHERE is_open",
    """
    CREATE TABLE history (
        run_id TEXT NOT NULL REFERENCES runs (run_id),
        revision INTEGER NOT NULL,
        document BLOB NOT NULL,
        PRIMARY KEY (run_id, revision)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        due REAL NOT NULL,
        deliveries INTEGER NOT NULL DEFAULT 0,
        envelope TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX events_by_time ON events (due, id)",
    """
    CREATE TABLE jobs (
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL UNIQUE,
        uid TEXT NOT NULL,
        state TEXT NOT NULL,
        has_ended INTEGER NOT NULL DEFAULT 0,
        created REAL NOT NULL,
        detail TEXT NOT NULL DEFAULT '',
        spec BLOB NOT NULL
    ) STRICT
    """,
    "CREATE INDEX jobs_active ON jobs (serial) WHERE NOT has_ended",
    """
    CREATE TABLE tasks (
        job_id TEXT NOT NULL REFERENCES jobs (job_id),
        position INTEGER NOT NULL,
        state TEXT NOT NULL DEFAULT 'pending',
        retry INTEGER NOT NULL DEFAULT 0,
        exit_code INTEGER,
        pid INTEGER,
        pid_created REAL,
        started REAL,
        PRIMARY KEY (job_id, position)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX tasks_by_state ON tasks (job_id, state, position)",
)
