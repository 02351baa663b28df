"""What every object store promises. Subclasses supply the stores, and access to the storage that bypasses them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from epydrop.errors import NotFound, PreconditionFailed

BAD_NAMES = ("", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/./b", "./a", "a/..", "a\0b")
SORTED_NAMES = ("A", "a b", "a!b", "a-b", "a.b", "a/b", "a/c.x", "a/c/d", "a0", "aa", "é", "日本/x", "\U0001f600")


class ObjectStoreContract:
    """Subclasses provide the fixtures ``store`` and ``other`` (both empty) and the two raw methods."""

    def raw_write(self, name, data):
        """Stores an object without the store under test."""
        raise NotImplementedError

    def raw_read(self, name):
        """The bytes of an object or None, read without the store under test."""
        raise NotImplementedError

    def test_what_is_written_is_there(self, store):
        """The bytes as given, under the name given."""
        info = store.write("a/b.txt", b"data")

        assert self.raw_read("a/b.txt") == b"data"
        assert (info.name, info.size) == ("a/b.txt", 4)
        assert abs(info.created - datetime.now(UTC)) < timedelta(minutes=5)

    def test_what_is_there_is_read(self, store):
        """Also if another program wrote it."""
        self.raw_write("a/b.txt", b"data")

        assert store.read("a/b.txt") == b"data"
        assert store.stat("a/b.txt").size == 4

    def test_stat_write_and_list_agree(self, store):
        """One object, one description."""
        info = store.write("a/b", b"data")

        assert store.stat("a/b") == info
        assert list(store.list()) == [info]

    def test_a_part_of_an_object_can_be_read(self, store):
        """Offsets count from 0; the end is not included, and may be past the object's end."""
        store.write("a", b"0123456789")

        assert store.read("a", start=3) == b"3456789"
        assert [store.read("a", start=start, end=end) for start, end in ((3, 5), (0, 1), (8, 99), (4, 4))] == [
            b"34", b"0", b"89", b""
        ]  # fmt: skip

    def test_absence_is_none_or_not_found(self, store):
        """None from stat, NotFound from reads."""
        assert store.stat("a/b") is None
        with pytest.raises(NotFound):
            store.read("a/b")
        with pytest.raises(NotFound), store.open_read("a/b"):
            pass

    def test_a_folder_is_no_object(self, store):
        """Only names that were written are objects."""
        store.write("a/b", b"")

        assert store.stat("a") is None
        with pytest.raises(NotFound):
            store.read("a")

    def test_nothing_is_below_an_object(self, store):
        """Asking for it is not an error."""
        store.write("a", b"")

        assert store.stat("a/b") is None
        store.delete("a/b")

    def test_each_write_has_a_greater_generation(self, store):
        """However quickly the writes follow each other."""
        generations = [store.write("a", bytes([number])).generation for number in range(8)]

        assert generations == sorted(set(generations))
        assert generations[0] > 0
        assert store.read("a") == bytes([7])

    def test_an_old_generation_is_not_found(self, store):
        """Replaced content is gone."""
        first = store.write("a", b"1")
        second = store.write("a", b"2")

        assert store.read("a", generation=second.generation) == b"2"
        with pytest.raises(NotFound):
            store.read("a", generation=first.generation)

    def test_create_only_refuses_an_object_that_exists(self, store):
        """And leaves it unchanged."""
        store.write("a", b"1", if_generation=0)

        with pytest.raises(PreconditionFailed):
            store.write("a", b"2", if_generation=0)

        assert self.raw_read("a") == b"1"

    def test_replacing_needs_the_newest_generation(self, store):
        """Compare-and-set."""
        first = store.write("a", b"1")
        second = store.write("a", b"2", if_generation=first.generation)

        with pytest.raises(PreconditionFailed):
            store.write("a", b"3", if_generation=first.generation)

        assert store.stat("a") == second

    def test_replacing_a_deleted_object_is_refused(self, store):
        """Its generation is no longer the newest."""
        gone = store.write("a", b"1").generation
        store.delete("a")

        with pytest.raises(PreconditionFailed):
            store.write("a", b"2", if_generation=gone)

        assert self.raw_read("a") is None

    def test_of_many_concurrent_creates_one_wins(self, store):
        """The others raise, and the winner's bytes are stored."""
        begin = threading.Barrier(8)

        def create(number):
            begin.wait()
            try:
                store.write("deep/in/a", b"%d" % number, if_generation=0)
            except PreconditionFailed:
                return None
            return number

        with ThreadPoolExecutor(8) as pool:
            (winner,) = (number for number in pool.map(create, range(8)) if number is not None)

        assert self.raw_read("deep/in/a") == b"%d" % winner

    def test_concurrent_replaces_lose_no_update(self, store):
        """A counter under compare-and-set counts every increment."""
        store.write("counter", b"0")

        def increment(_):
            while True:
                info = store.stat("counter")
                try:
                    number = int(store.read("counter", generation=info.generation))
                    store.write("counter", b"%d" % (number + 1), if_generation=info.generation)
                except (PreconditionFailed, NotFound):
                    continue
                return

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(increment, range(12)))

        assert self.raw_read("counter") == b"12"

    def test_a_written_stream_becomes_an_object_at_its_end(self, store):
        """Not before."""
        with store.open_write("a/b") as stream:
            stream.write(b"da")
            stream.write(b"ta")
            assert store.stat("a/b") is None
            assert list(store.list()) == []

        assert self.raw_read("a/b") == b"data"

    def test_a_written_stream_that_fails_is_discarded(self, store):
        """The older object stays."""
        store.write("a", b"old")

        def fail():
            with store.open_write("a") as stream:
                stream.write(b"new")
                raise KeyError

        with pytest.raises(KeyError):
            fail()

        assert self.raw_read("a") == b"old"

    def test_a_written_stream_keeps_its_precondition(self, store):
        """Checked when the block ends."""

        def write():
            with store.open_write("a", if_generation=0) as stream:
                stream.write(b"late")
                store.write("a", b"early")

        with pytest.raises(PreconditionFailed):
            write()

        assert self.raw_read("a") == b"early"

    def test_several_files_are_stored_at_once(self, store, tmp_path):
        """Each under its name, replacing existing objects."""
        self.raw_write("outputs/3.csv", b"old")
        files = {f"outputs/{number}.csv": tmp_path / f"{number}.csv" for number in range(4)}
        for name, path in files.items():
            path.write_bytes(name.encode())

        store.write_files(files)

        assert {info.name: store.read(info.name) for info in store.list()} == {name: name.encode() for name in files}

    def test_a_missing_file_among_several_raises(self, store, tmp_path):
        """The caller relies on all of them being stored."""
        (tmp_path / "a").write_bytes(b"")

        with pytest.raises(FileNotFoundError):
            store.write_files({"a": tmp_path / "a", "b": tmp_path / "b"})

    def test_a_read_stream_can_seek(self, store):
        """Zip files are read from their end."""
        store.write("a", b"0123456789")

        with store.open_read("a") as stream:
            stream.seek(-3, 2)
            assert stream.read() == b"789"
            stream.seek(1)
            assert stream.read(2) == b"12"

    def test_a_copy_is_an_object_of_its_own(self, store, other):
        """In another store, under another name."""
        store.write("a", b"data")

        info = store.copy("a", other, "b/c")
        store.write("a", b"changed")

        assert other.read("b/c") == b"data"
        assert other.stat("b/c") == info

    def test_a_copy_of_a_missing_object_or_generation_raises(self, store, other):
        """And stores nothing."""
        first = store.write("a", b"1")
        store.write("a", b"2")

        with pytest.raises(NotFound):
            store.copy("a", other, "b", generation=first.generation)
        with pytest.raises(NotFound):
            store.copy("missing", other, "b")

        assert other.stat("b") is None

    def test_a_deleted_object_is_gone(self, store):
        """Deleting it again does nothing."""
        store.write("a/b/c", b"")

        store.delete("a/b/c")
        store.delete("a/b/c")

        assert self.raw_read("a/b/c") is None
        assert list(store.list()) == []

    def test_deleting_another_generation_is_refused(self, store):
        """The newer one stays."""
        first = store.write("a", b"1")
        second = store.write("a", b"2")

        with pytest.raises(PreconditionFailed):
            store.delete("a", if_generation=first.generation)
        assert self.raw_read("a") == b"2"

        store.delete("a", if_generation=second.generation)
        assert self.raw_read("a") is None

    def test_a_list_is_sorted_by_whole_names(self, store):
        """By their bytes: 'a.b' comes before 'a/b', which comes before 'a0'."""
        for name in reversed(SORTED_NAMES):
            self.raw_write(name, b"")

        assert [info.name for info in store.list()] == list(SORTED_NAMES)

    def test_a_list_can_be_narrowed(self, store):
        """To a prefix that need not end a folder's name, and to the names after one that need not exist."""
        for name in SORTED_NAMES:
            self.raw_write(name, b"")

        for prefix in ("a", "a/", "a/c", "a/c/", "a.", "A", "日", "missing/", "a/../a", ".."):
            assert [info.name for info in store.list(prefix)] == [n for n in SORTED_NAMES if n.startswith(prefix)]
        for after in ("A", "a", "a.b", "a.b0", "a/", "a/b", "a/c", "a/c/zzz", "aa", "\U0001f600"):
            assert [info.name for info in store.list(start_after=after)] == [n for n in SORTED_NAMES if n > after]
            expected = [n for n in SORTED_NAMES if n > after and n.startswith("a/")]
            assert [info.name for info in store.list("a/", start_after=after)] == expected

    def test_a_long_list_is_complete(self, store):
        """Across several pages, where the store has pages."""
        names = [f"results/{number:05d}" for number in range(25)]
        for name in names:
            self.raw_write(name, b"")

        assert [info.name for info in store.list("results/")] == names

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_an_invalid_name_is_refused(self, store, other, tmp_path, name):
        """By every method that takes one: it could lead out of the folder, or not exist on a file system."""
        store.write("good", b"")
        (tmp_path / "file").write_bytes(b"")
        for attempt in (
            lambda: store.stat(name),
            lambda: store.read(name),
            lambda: store.write(name, b""),
            lambda: store.delete(name),
            lambda: store.copy(name, other, "b"),
            lambda: store.copy("good", other, name),
            lambda: store.open_read(name).__enter__(),
            lambda: store.open_write(name).__enter__(),
            lambda: store.write_files({name: tmp_path / "file"}),
        ):
            with pytest.raises(ValueError, match="name"):
                attempt()

        assert [info.name for info in store.list()] == ["good"]
