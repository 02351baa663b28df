"""The counting store: what was fetched ahead is what lies in the store, within a limit."""

from __future__ import annotations

import pytest

from epydrop.errors import NotFound
from epydrop.stores.folder import FileObjectStore
from epydrop_stages.artifacts.metered_store import MeteredStore
from epydrop_stages.artifacts.usage import Usage

SIZE = 1000


@pytest.fixture
def store(tmp_path):
    """Three objects of 1000 bytes."""
    counted = MeteredStore(FileObjectStore(tmp_path), Usage())
    for name in "abc":
        counted.write(name, name.encode() * SIZE)
    return counted


def read(source, name):
    """All bytes of an object."""
    with source.open_read(name) as stream:
        return stream.read()


@pytest.mark.parametrize("limit", [0, SIZE - 1, SIZE, 2 * SIZE, 10 * SIZE])
def test_objects_are_the_same_fetched_or_not(store, limit):
    """Whatever did not fit is read when it is opened; every byte is counted once, and none before that."""
    fetched = store.prefetch("abc", limit)

    assert store.usage.bytes_in == 0
    assert [read(fetched, name) for name in "abc"] == [name.encode() * SIZE for name in "abc"]
    assert store.usage.bytes_in == 3 * SIZE


@pytest.mark.parametrize(("limit", "held"), [(0, ""), (SIZE, "a"), (2 * SIZE + 1, "ab"), (3 * SIZE, "abc")])
def test_no_more_is_held_than_the_limit_allows(store, limit, held):
    """What is held is there even when the store's own is gone, which tells the one from the other."""
    fetched = store.prefetch("abc", limit)
    for name in "abc":
        store.delete(name)

    for name in "abc":
        if name in held:
            assert read(fetched, name) == name.encode() * SIZE
        else:
            with pytest.raises(NotFound):
                read(fetched, name)


def test_what_was_read_is_let_go(store):
    """A second look goes to the store."""
    fetched = store.prefetch("a", SIZE)
    read(fetched, "a")
    store.write("a", b"new")

    assert read(fetched, "a") == b"new"


def test_what_is_not_there_is_missed_when_it_is_opened(store):
    """Not while it is fetched: the others come all the same."""
    fetched = store.prefetch(["a", "nothing", "c"], 10 * SIZE)

    with pytest.raises(NotFound):
        read(fetched, "nothing")
    assert read(fetched, "c") == b"c" * SIZE


def test_what_cannot_be_held_is_read_when_it_is_opened(store, monkeypatch):
    """Memory that is short now may be there then; if not, it is missed where it is needed."""

    def short(name):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(FileObjectStore, "open_read", lambda self, name: short(name))
        fetched = store.prefetch("abc", 10 * SIZE)

    assert read(fetched, "b") == b"b" * SIZE
