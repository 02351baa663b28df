"""What every object store promises. A subclass supplies stores and access that bypasses them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from epydrop.errors import NotFound, PreconditionFailed

BAD_NAMES = ("", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/./b", "./a", "a/..", "a\0b")
SORTED_NAMES = ("A", "a b", "a!b", "a-b", "a.b", "a/b", "a/c.x", "a/c/d", "a0", "aa", "é", "日本/x", "\U0001f600")


class ObjectStoreContract:
    """Subclasses give the fixtures ``store`` and ``other`` (an empty store of the same kind) and the raw methods."""

    def raw_write(self, name, data):
        """Stores an object behind the store's back."""
        raise NotImplementedError

    def raw_read(self, name):
        """The bytes of an object, or None, read behind the store's back."""
        raise NotImplementedError

    def test_what_is_written_is_there(self, store):
        """The bytes as given, under the name given."""
        info = store.write("a/b.txt", b"data")

        assert self.raw_read("a/b.txt") == b"data"
        assert (info.name, info.size) == ("a/b.txt", 4)
        assert abs(info.created - datetime.now(UTC)) < timedelta(minutes=5)

    def test_what_is_there_is_read(self, store):
        """Whoever wrote it."""
        self.raw_write("a/b.txt", b"data")

        assert store.read("a/b.txt") == b"data"
        assert store.stat("a/b.txt").size == 4

    def test_stat_write_and_list_agree(self, store):
        """One object, one description."""
        info = store.write("a/b", b"data")

        assert store.stat("a/b") == info
        assert list(store.list()) == [info]

    @pytest.mark.parametrize(("start", "end", "expected"), [(0, None, b"0123456789"), (3, None, b"3456789")])
    def test_a_read_from_a_place_goes_to_the_end(self, store, start, end, expected):
        """Counted from 0."""
        store.write("a", b"0123456789")

        assert store.read("a", start=start, end=end) == expected

    @pytest.mark.parametrize(("start", "end", "expected"), [(3, 5, b"34"), (0, 1, b"0"), (8, 99, b"89")])
    def test_a_read_can_be_of_a_part(self, store, start, end, expected):
        """The end is not included, and may lie behind the object's."""
        store.write("a", b"0123456789")

        assert store.read("a", start=start, end=end) == expected

    def test_absence_is_none_or_not_there(self, store):
        """An answer to stat, an error to read."""
        assert store.stat("a/b") is None
        with pytest.raises(NotFound):
            store.read("a/b")
        with pytest.raises(NotFound), store.open_read("a/b"):
            pass

    def test_a_folder_is_no_object(self, store):
        """Only what was written is there."""
        store.write("a/b", b"")

        assert store.stat("a") is None
        with pytest.raises(NotFound):
            store.read("a")

    def test_nothing_is_below_an_object(self, store):
        """Asking is no error."""
        store.write("a", b"")

        assert store.stat("a/b") is None
        store.delete("a/b")

    def test_each_write_has_a_greater_generation(self, store):
        """However quickly they follow each other."""
        generations = [store.write("a", bytes([number])).generation for number in range(20)]

        assert generations == sorted(set(generations))
        assert generations[0] > 0
        assert store.read("a") == bytes([19])

    def test_a_generation_that_is_not_the_newest_is_not_there(self, store):
        """What was replaced is gone."""
        first = store.write("a", b"1")
        second = store.write("a", b"2")

        assert store.read("a", generation=second.generation) == b"2"
        with pytest.raises(NotFound):
            store.read("a", generation=first.generation)

    def test_create_only_refuses_an_object_that_exists(self, store):
        """And leaves it alone."""
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

    def test_replacing_what_is_not_there_is_refused(self, store):
        """A generation that is gone is outdated."""
        gone = store.write("a", b"1").generation
        store.delete("a")

        with pytest.raises(PreconditionFailed):
            store.write("a", b"2", if_generation=gone)

        assert self.raw_read("a") is None

    def test_of_many_that_create_at_once_one_wins(self, store):
        """The rest are told, and the winner's bytes are there."""
        begin = threading.Barrier(20)

        def create(number):
            begin.wait()
            try:
                store.write("deep/in/a", b"%d" % number, if_generation=0)
            except PreconditionFailed:
                return None
            return number

        with ThreadPoolExecutor(20) as pool:
            (winner,) = (number for number in pool.map(create, range(20)) if number is not None)

        assert self.raw_read("deep/in/a") == b"%d" % winner

    def test_of_many_that_replace_at_once_none_is_lost(self, store):
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

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(increment, range(30)))

        assert self.raw_read("counter") == b"30"

    def test_a_written_stream_appears_at_its_end(self, store):
        """Not before."""
        with store.open_write("a/b") as stream:
            stream.write(b"da")
            stream.write(b"ta")
            assert store.stat("a/b") is None
            assert list(store.list()) == []

        assert self.raw_read("a/b") == b"data"

    def test_a_written_stream_that_fails_never_appears(self, store):
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
        """It is judged when the object would appear."""

        def write():
            with store.open_write("a", if_generation=0) as stream:
                stream.write(b"late")
                store.write("a", b"early")

        with pytest.raises(PreconditionFailed):
            write()

        assert self.raw_read("a") == b"early"

    def test_several_files_are_stored_at_once(self, store, tmp_path):
        """Each under its name, over what is there."""
        self.raw_write("outputs/3.csv", b"old")
        files = {f"outputs/{number}.csv": tmp_path / f"{number}.csv" for number in range(20)}
        for name, path in files.items():
            path.write_bytes(name.encode())

        store.write_files(files)

        assert {info.name: store.read(info.name) for info in store.list()} == {name: name.encode() for name in files}

    def test_of_several_files_none_that_is_missing_is_passed_over(self, store, tmp_path):
        """Whoever stores them wants all of them there."""
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
        """Into another store, under another name."""
        store.write("a", b"data")

        info = store.copy("a", other, "b/c")
        store.write("a", b"changed")

        assert other.read("b/c") == b"data"
        assert other.stat("b/c") == info

    def test_only_what_is_there_is_copied(self, store, other):
        """That generation, or none."""
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

    def test_a_list_is_in_the_order_of_whole_names(self, store):
        """Of their bytes: 'a.b' comes before 'a/b', which comes before 'a0'."""
        for name in reversed(SORTED_NAMES):
            self.raw_write(name, b"")

        assert [info.name for info in store.list()] == list(SORTED_NAMES)

    @pytest.mark.parametrize("prefix", ["a", "a/", "a/c", "a/c/", "a.", "A", "日", "missing/", "a/../a", ".."])
    def test_a_list_has_the_names_that_begin_with_the_prefix(self, store, prefix):
        """The prefix need not end at a folder's end."""
        for name in SORTED_NAMES:
            self.raw_write(name, b"")

        assert [info.name for info in store.list(prefix)] == [n for n in SORTED_NAMES if n.startswith(prefix)]

    @pytest.mark.parametrize("after", ["", "A", "a", "a.b", "a.b0", "a/", "a/b", "a/c", "a/c/zzz", "aa", "\U0001f600"])
    def test_a_list_starts_after_a_name(self, store, after):
        """Whether or not there is such an object."""
        for name in SORTED_NAMES:
            self.raw_write(name, b"")

        assert [info.name for info in store.list(start_after=after)] == [n for n in SORTED_NAMES if n > after]
        expected = [n for n in SORTED_NAMES if n > after and n.startswith("a/")]
        assert [info.name for info in store.list("a/", start_after=after)] == expected

    def test_a_long_list_is_whole(self, store):
        """Over several pages."""
        names = [f"results/{number:05d}" for number in range(1200)]
        for name in names:
            self.raw_write(name, b"")

        assert [info.name for info in store.list("results/")] == names

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_a_name_that_could_escape_is_refused(self, store, other, tmp_path, name):
        """By every method that takes one."""
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
