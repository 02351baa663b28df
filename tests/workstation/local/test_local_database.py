"""The state file is created by its first user, shared by all, and refused if it is damaged or of another program."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from epydrop.errors import ConfigurationError, RetryableError
from epydrop_workstation.local.database import Database


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path)
    yield database
    database.close()


def put(database, text):
    with database.transaction() as connection:
        connection.execute("INSERT INTO events (due, envelope) VALUES (0, ?)", (text,))


def texts(database):
    return [row["envelope"] for row in database.rows("SELECT envelope FROM events ORDER BY id")]


def test_a_transaction_that_fails_leaves_nothing(database):
    """All or nothing."""

    def fail():
        with database.transaction():
            put(database, "a")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert texts(database) == []


def test_a_transaction_inside_another_is_part_of_it(database):
    """So that a job's state and its notification are written together."""
    with database.transaction():
        put(database, "a")
        with database.transaction():
            put(database, "b")
        assert database._connection().in_transaction

    assert texts(database) == ["a", "b"]


def test_threads_have_connections_of_their_own(database):
    """A transaction of one thread is not joined by another."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: put(database, str(number)), range(40)))

    assert sorted(map(int, texts(database))) == list(range(40))


def test_many_may_make_the_file_at_once(tmp_path):
    """The first makes the tables, the others wait for it."""
    begin = Barrier(6)

    def open_and_put(number):
        begin.wait()
        database = Database(tmp_path)
        put(database, str(number))
        database.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(open_and_put, range(6)))

    database = Database(tmp_path)
    assert len(texts(database)) == 6
    database.close()


def test_several_processes_write_at_once(database, tmp_path):
    """Each waits for the others."""
    program = (
        "import sys; from pathlib import Path; from epydrop_workstation.local.database import Database\n"
        "database = Database(Path(sys.argv[1]))\n"
        "for number in range(20):\n"
        "    with database.transaction() as c:\n"
        "        c.execute('INSERT INTO events (due, envelope) VALUES (0, ?)', (str(number),))\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(2)]

    assert [process.wait() for process in processes] == [0, 0]
    assert len(texts(database)) == 40


def test_a_writer_that_waits_too_long_gets_a_retryable_error(database, tmp_path):
    """A transient error, unlike a damaged file."""
    hasty = Database(tmp_path, patience=0.05)

    with database.transaction(), pytest.raises(RetryableError, match=r"state\.sqlite"):
        put(hasty, "a")

    hasty.close()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    """And left as it is."""
    (tmp_path / ".epydrop").mkdir()
    file = tmp_path / ".epydrop" / "state.sqlite"
    file.write_bytes(b"not a database at all, but long enough to look at " * 50)

    with pytest.raises(ConfigurationError, match=r"state\.sqlite"):
        Database(tmp_path)

    assert file.read_bytes().startswith(b"not a database")


def test_the_database_of_another_program_is_refused(tmp_path):
    """Its tables are left alone."""
    (tmp_path / ".epydrop").mkdir()
    other = sqlite3.connect(tmp_path / ".epydrop" / "state.sqlite")
    other.execute("CREATE TABLE theirs (x)")
    other.close()

    with pytest.raises(ConfigurationError, match="not one of epydrop"):
        Database(tmp_path)


def test_the_database_of_a_newer_epydrop_is_refused(database, tmp_path):
    """By its number, with what to do."""
    database._connection().execute("PRAGMA user_version = 99")

    with pytest.raises(ConfigurationError, match="version 99"):
        Database(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """Here because a file is in its place."""
    (tmp_path / ".epydrop").write_text("in the way")

    with pytest.raises(ConfigurationError, match=r"\.epydrop"):
        Database(tmp_path)


def test_a_database_that_is_damaged_later_is_named(database):
    """Not an error of SQLite's that nobody catches."""
    put(database, "x" * 100_000)
    database._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = database.path.stat().st_size
    with database.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    database.close()

    with pytest.raises(ConfigurationError, match=r"state\.sqlite"):
        texts(database)
