"""The run store on SQLite keeps the contract, and can find the run that a file should go on with."""

from __future__ import annotations

import json

import pytest
from contracts.run_store import DocumentStoreContract
from support.sample_runs import a_run, an_entry

from epydrop.core.phases import Phase
from epydrop_workstation.local.database import Database
from epydrop_workstation.local.run_store import SqliteRunStore


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path)
    yield database
    database.close()


@pytest.fixture
def store(database):
    return SqliteRunStore(database)


class TestSqliteRunStore(DocumentStoreContract):
    """The contract, with SQL that bypasses the store."""

    @pytest.fixture(autouse=True)
    def _raw(self, database):
        self._database = database

    def raw_read(self, run_id):
        (row,) = self._database.rows("SELECT document FROM runs WHERE run_id = ?", (run_id,))
        return json.loads(row["document"])

    def raw_write(self, run_id, document):
        with self._database.transaction() as connection:
            text = json.dumps(document).encode()
            connection.execute("UPDATE runs SET document = ? WHERE run_id = ?", (text, run_id))


def test_the_newest_open_run_of_the_same_content_is_resumed(store):
    """Ended runs and other contents are not."""
    store.create(a_run(1, md5="x"), an_entry())
    store.create(a_run(2, md5="x"), an_entry())
    store.create(a_run(3, md5="x", phase=Phase.FAILED), an_entry())
    store.create(a_run(4, md5="y"), an_entry())

    assert store.resumable("x") == a_run(2, md5="x")
    assert store.resumable("z") is None


def test_runs_are_there_for_the_next_process(store, tmp_path):
    """Another connection to the same folder sees them."""
    store.create(a_run(), an_entry())

    again = Database(tmp_path)

    assert SqliteRunStore(again).load(a_run().run_id).run == a_run()
    again.close()
