"""What every run store promises. A subclass supplies the store and access that bypasses it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from support.sample_runs import a_run, an_entry

from epydrop.core.phases import Phase
from epydrop.errors import PreconditionFailed
from epydrop.formats.serialization import UnknownFormat


class RunStoreContract:
    """Subclasses give the fixture ``store``."""

    def test_a_run_that_was_never_stored_is_none(self, store):
        """Absence is an answer, not an error."""
        assert store.load(a_run().run_id) is None
        assert list(store.history(a_run().run_id)) == []

    def test_a_created_run_is_loaded_as_it_was(self, store):
        """Nothing is lost on the way to a document and back."""
        run = a_run(md5="abc", kicks=("k1",))

        store.create(run, an_entry())

        assert store.load(run.run_id).run == run
        assert list(store.history(run.run_id)) == [an_entry()]

    def test_creating_a_run_that_exists_is_refused(self, store):
        """Two functions that see the same drop make one run."""
        store.create(a_run(), an_entry())

        with pytest.raises(PreconditionFailed):
            store.create(a_run(reason="something else"), an_entry())

        assert store.load(a_run().run_id).run == a_run()
        assert list(store.history(a_run().run_id)) == [an_entry()]

    def test_creating_with_another_entry_is_refused(self, store):
        """The entry belongs to the write as much as the run."""
        store.create(a_run(), an_entry())

        with pytest.raises(PreconditionFailed):
            store.create(a_run(), an_entry(reason="another"))

    def test_the_very_same_create_may_be_repeated(self, store):
        """A client that lost the answer asks again, and is told that all is well."""
        store.create(a_run(), an_entry())
        store.create(a_run(), an_entry())

        assert list(store.history(a_run().run_id)) == [an_entry()]

    def test_a_save_replaces_the_run_and_adds_the_entry(self, store):
        """The newest state and the whole way to it."""
        run = a_run()
        store.create(run, an_entry())
        changed = replace(run, phase=Phase.RUNNER, serial=1)

        store.save(changed, store.load(run.run_id).revision, an_entry(1))

        assert store.load(run.run_id).run == changed
        assert [entry.serial for entry in store.history(run.run_id)] == [0, 1]

    def test_a_save_changes_the_revision(self, store):
        """Each write can be told from the one before, even if it writes the same."""
        run = a_run()
        store.create(run, an_entry())
        first = store.load(run.run_id).revision

        store.save(run, first, an_entry(1))

        assert store.load(run.run_id).revision != first

    def test_a_save_with_an_old_revision_is_refused_and_adds_no_entry(self, store):
        """Both or neither."""
        run = a_run()
        store.create(run, an_entry())
        old = store.load(run.run_id).revision
        store.save(replace(run, reason="first"), old, an_entry(1))

        with pytest.raises(PreconditionFailed):
            store.save(replace(run, reason="second"), old, an_entry(2))

        assert store.load(run.run_id).run.reason == "first"
        assert len(list(store.history(run.run_id))) == 2

    def test_saving_a_run_that_does_not_exist_is_refused(self, store):
        """A save never creates."""
        store.create(a_run(1), an_entry())

        with pytest.raises(PreconditionFailed):
            store.save(a_run(2), store.load(a_run(1).run_id).revision, an_entry())

        assert store.load(a_run(2).run_id) is None

    def test_of_many_that_save_at_once_each_revision_has_one_winner(self, store):
        """Compare-and-set: no increment is lost."""
        run = a_run(serial=0)
        store.create(run, an_entry())
        begin = Barrier(4)

        def increment_ten_times(_):
            begin.wait()
            done = 0
            while done < 10:
                stored = store.load(run.run_id)
                serial = stored.run.serial + 1
                try:
                    store.save(replace(stored.run, serial=serial), stored.revision, an_entry(serial))
                    done += 1
                except PreconditionFailed:
                    pass

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(increment_ten_times, range(4)))

        assert store.load(run.run_id).run.serial == 40
        assert [entry.serial for entry in store.history(run.run_id)] == list(range(41))

    def test_of_many_that_create_at_once_one_wins(self, store):
        """The others are told."""
        begin = Barrier(8)

        def create(number):
            begin.wait()
            try:
                store.create(a_run(reason=f"by {number}"), an_entry())
            except PreconditionFailed:
                return 0
            return 1

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(create, range(8))) == 1

    def test_unfinished_runs_are_the_open_and_the_unsettled(self, store):
        """A terminal run still counts until its effects are done."""
        store.create(a_run(1, phase=Phase.RUNNER, unsettled=False), an_entry())
        store.create(a_run(2, phase=Phase.FAILED, unsettled=True), an_entry())
        store.create(a_run(3, phase=Phase.SUCCEEDED, unsettled=False), an_entry())

        assert sorted(store.unfinished()) == [a_run(1).run_id, a_run(2).run_id]

    def test_a_run_leaves_the_unfinished_when_it_is_settled(self, store):
        """What is asked for is the newest state."""
        store.create(a_run(), an_entry())
        settled = replace(a_run(), phase=Phase.SUCCEEDED, unsettled=False)

        store.save(settled, store.load(a_run().run_id).revision, an_entry(1))

        assert list(store.unfinished()) == []

    def test_lists_longer_than_a_page_are_whole(self, store):
        """No run twice, none left out."""
        for number in range(230):
            store.create(a_run(number), an_entry())

        assert sorted(store.unfinished()) == [a_run(number).run_id for number in range(230)]
        assert [run.run_id for run in store.newest(1000)] == [a_run(n).run_id for n in reversed(range(230))]

    def test_a_long_history_is_whole_and_in_order(self, store):
        """Oldest first, also over many pages."""
        run = a_run()
        store.create(run, an_entry())
        for serial in range(1, 220):
            store.save(run, store.load(run.run_id).revision, an_entry(serial))

        assert [entry.serial for entry in store.history(run.run_id)] == list(range(220))

    def test_the_newest_runs_come_first_and_no_more_than_asked_for(self, store):
        """By the time of creation, whatever order they were stored in."""
        for number in (2, 5, 1, 4, 3):
            store.create(a_run(number), an_entry())

        assert [run.run_id for run in store.newest(3)] == [a_run(number).run_id for number in (5, 4, 3)]
        assert list(store.newest(0)) == []


class DocumentStoreContract(RunStoreContract):
    """What stores of documents promise besides. Subclasses give the two raw methods, too."""

    def raw_read(self, run_id):
        """The stored document as a dict."""
        raise NotImplementedError

    def raw_write(self, run_id, document):
        """Replaces the stored document behind the store's back."""
        raise NotImplementedError

    def test_the_document_carries_its_format(self, store):
        """A later version can tell what it reads."""
        store.create(a_run(), an_entry())

        assert self.raw_read(a_run().run_id)["format"] == 1

    def test_a_document_of_a_newer_version_is_refused_by_name(self, store):
        """Never half read."""
        run = a_run()
        store.create(run, an_entry())
        self.raw_write(run.run_id, {**self.raw_read(run.run_id), "format": 99})

        with pytest.raises(UnknownFormat, match=run.run_id):
            store.load(run.run_id)

        assert list(store.unfinished()) == [run.run_id]

    @pytest.mark.parametrize("damage", [{"format": 99}, {"format": 1, "record": "[" * 100_000}])
    def test_a_document_that_cannot_be_read_hides_no_other(self, store, damage):
        """It is named, with the reason, in its place in the list."""
        runs = [a_run(1), a_run(2), a_run(3)]
        for run in runs:
            store.create(run, an_entry())
        self.raw_write(runs[1].run_id, {**self.raw_read(runs[1].run_id), **damage})

        newest = list(store.newest(10))

        assert [run.run_id for run in newest] == [run.run_id for run in reversed(runs)]
        assert [newest[0], newest[2]] == [runs[2], runs[0]]
        assert runs[1].run_id in str(newest[1].error)
        assert sorted(store.unfinished()) == sorted(run.run_id for run in runs)
