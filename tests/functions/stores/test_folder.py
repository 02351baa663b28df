"""The local object store: the contract, its listener, and cleaning up after killed writers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from contracts.object_store import ObjectStoreContract

from epydrop.errors import ConfigurationError, PreconditionFailed
from epydrop.stores import open_store
from epydrop.stores.folder import FileObjectStore
from epydrop.stores.whole_files import PARTIAL


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "bucket"


@pytest.fixture
def store(folder):
    return FileObjectStore(folder)


@pytest.fixture
def other(tmp_path):
    return FileObjectStore(tmp_path / "other")


class TestFileObjectStore(ObjectStoreContract):
    """The contract; plain files bypass the store."""

    @pytest.fixture(autouse=True)
    def _raw(self, folder):
        self._folder = folder

    def raw_write(self, name, data):
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def raw_read(self, name):
        path = self._folder / name
        return path.read_bytes() if path.exists() else None


def test_the_url_opens_the_same_store(tmp_path):
    """Also if the folder's name needs quoting."""
    store = FileObjectStore(tmp_path / "a b%20é#")
    store.write("x", b"1")

    assert store.url.startswith("file:///")
    assert store.url.endswith("/")
    assert open_store(store.url).read("x") == b"1"


def test_stores_at_different_levels_share_their_locks(folder):
    """A stage opens its run's folder, a function the bucket: same file, same lock."""
    low, high = FileObjectStore(folder / "run"), FileObjectStore(folder)
    info = low.write("latest.json", b"1")

    assert high.stat("run/latest.json").generation == info.generation
    high.write("run/latest.json", b"2", if_generation=info.generation)
    with pytest.raises(PreconditionFailed):
        low.write("latest.json", b"3", if_generation=info.generation)
    assert [i.name for i in high.list()] == ["run/latest.json"]


def test_a_listener_gets_each_new_object_with_its_md5(folder):
    """Once it is in place, as Cloud Storage sends its event; and again on request, should that event be lost."""
    calls = []
    store = FileObjectStore(folder, lambda info, md5: calls.append((info, md5, store.read(info.name))))

    info = store.write("experiments/flü.yaml", b"12345")
    store.notify_again("experiments/flü.yaml")
    store.notify_again("experiments/absent.yaml")

    assert calls == [(info, "gnzLDuqKcGxMNKFokfhOew==", b"12345")] * 2


def test_only_writes_that_succeed_reach_the_listener(folder, other):
    """Copies into the store are writes too."""
    names = []
    store = FileObjectStore(folder, lambda info, _: names.append(info.name))
    store.write("a", b"")
    with pytest.raises(PreconditionFailed):
        store.write("a", b"", if_generation=0)
    with store.open_write("b"):
        pass
    store.delete("a")
    other.write("x", b"")
    other.copy("x", store, "c")

    assert names == ["a", "b", "c"]


def test_reading_makes_no_folder(store, folder):
    """Opening and reading a store changes nothing on disk."""
    assert store.stat("a") is None
    assert list(store.list()) == []
    store.delete("a/b")

    assert not folder.exists()


def test_empty_folders_are_removed(store, folder):
    """So that an object can take a folder's name once the folder is empty."""
    store.write("a/b/c", b"")
    store.delete("a/b/c")
    assert not (folder / "a").exists()

    (folder / "a" / "b").mkdir(parents=True)
    store.write("a", b"1", if_generation=0)
    assert store.read("a") == b"1"


def test_an_object_and_a_folder_cannot_share_a_name(store):
    """Unlike in Cloud Storage: the error says so, and nothing is lost."""
    store.write("a/b", b"1")
    with pytest.raises(ValueError, match="folder"):
        store.write("a", b"2")
    with pytest.raises(ValueError, match="folder"):
        store.write("a", b"2", if_generation=0)
    with pytest.raises(ValueError, match="object"):
        store.write("a/b/c", b"2")

    assert store.read("a/b") == b"1"


def test_the_reserved_folder_name_is_refused(store):
    """Temporary files are never objects."""
    with pytest.raises(ValueError, match="name"):
        store.write(f"{PARTIAL}/x", b"")


def test_a_name_that_is_too_long_is_refused(store):
    """With the limit's reason instead of an errno."""
    with pytest.raises(ValueError, match="longer"):
        store.write("x" * 300, b"")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    """Here its parent is a file."""
    (tmp_path / "file").write_text("")

    with pytest.raises((ConfigurationError, ValueError), match="file"):
        FileObjectStore(tmp_path / "file" / "bucket").write("a", b"")


def test_files_that_cannot_be_objects_are_left_out(store, folder):
    """Pipes, broken links, links to folders, names that are not UTF-8."""
    store.write("good", b"")
    os.mkfifo(folder / "pipe")
    (folder / "nowhere").symlink_to(folder / "gone")
    (folder / "loop").symlink_to(folder)
    (folder / os.fsdecode(b"\xff\xfe")).write_bytes(b"")

    assert [info.name for info in store.list()] == ["good"]
    assert store.stat("pipe") is None


def test_a_list_survives_concurrent_deletes(store):
    """Objects that are deleted meanwhile are left out."""
    for number in range(10):
        store.write(f"a/{number}", b"")

    found = []
    for info in store.list():
        found.append(info.name)
        store.delete("a/5")

    assert found == [f"a/{number}" for number in range(10) if number != 5]


def test_concurrent_writes_and_deletes_in_one_folder_succeed(store):
    """The folder is created and removed all the time."""
    from concurrent.futures import ThreadPoolExecutor

    def work(worker):
        for number in range(25):
            store.write(f"deep/er/{worker}", b"%d" % number)
            store.delete(f"deep/er/{worker}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))

    assert list(store.list()) == []


CREATE = """
import sys
from pathlib import Path
from epydrop.errors import PreconditionFailed
from epydrop.stores.folder import FileObjectStore
sys.stdin.read(1)
try:
    FileObjectStore(Path(sys.argv[1])).write("a/b", sys.argv[2].encode(), if_generation=0)
except PreconditionFailed:
    sys.exit(7)
"""


def test_of_several_processes_that_create_at_once_one_wins(folder):
    """Locks and links work between processes as between threads."""
    command = [sys.executable, "-c", CREATE, str(folder)]
    processes = [subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE) for n in range(4)]
    for process in processes:
        process.stdin.write(b"x")
        process.stdin.close()
    codes = [process.wait() for process in processes]

    assert sorted(codes) == [0] + [7] * 3
    assert (folder / "a/b").read_bytes() == str(codes.index(0)).encode()


WRITE_FOREVER = """
import sys
from pathlib import Path
from epydrop.stores.folder import FileObjectStore
store = FileObjectStore(Path(sys.argv[1]))
for number in range(10**9):
    store.write("a", bytes([number % 256]) * 200_000)
    if number == 5:
        print("going", flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_object(store, folder):
    """And at most a temporary file, which is removed once it is old."""
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, str(folder)], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        data = store.read("a")
        assert data == data[:1] * 200_000

    assert [info.name for info in store.list()] == ["a"]
    store.write("a", b"mine", if_generation=store.stat("a").generation)


def test_a_temporary_file_is_removed_when_it_is_old(store, folder):
    """Not before: another process may be writing it."""
    partial = folder / PARTIAL
    partial.mkdir(parents=True)
    (partial / "old").write_bytes(b"")
    (partial / "new").write_bytes(b"")
    os.utime(partial / "old", (1, 1))

    store.write("a", b"")

    assert sorted(path.name for path in partial.iterdir()) == ["new"]


def test_the_same_works_without_hard_links(store, monkeypatch):
    """Some file systems do not support them."""

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("epydrop.stores.whole_files.os.link", refuse)
    store.write("a", b"1", if_generation=0)

    with pytest.raises(PreconditionFailed):
        store.write("a", b"2", if_generation=0)
    assert store.read("a") == b"1"


def test_generations_grow_where_files_have_whole_seconds_only(store, monkeypatch):
    """Such as on network file systems."""
    real = os.utime

    def coarse(path, ns):
        real(path, ns=tuple(moment // 10**9 * 10**9 for moment in ns))

    monkeypatch.setattr("epydrop.stores.whole_files.os.utime", coarse)

    generations = [store.write("a", b"").generation for _ in range(4)]

    assert generations == sorted(set(generations))
