"""The schema of the state file: runs, their history, events, and the engine's jobs and tasks."""

from __future__ import annotations

from batch_emulator.engine.job_store import TABLES as JOB_TABLES
from batch_emulator.engine.sqlite_file import Schema

# Columns repeat what queries select by; only the document is read back.
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
    *JOB_TABLES,
)

# "epdy" in ASCII: ``file`` and SQLite's tools identify the program by this number.
SCHEMA = Schema(TABLES, application_id=0x65706479, version=1)
