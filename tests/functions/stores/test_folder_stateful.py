"""The local object store and a dict hold the same after any sequence of operations."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from epydrop.errors import NotFound, PreconditionFailed
from epydrop.stores.folder import FileObjectStore

# Few parts, so that names collide; none is both a file's and a folder's, which only Cloud Storage allows.
FOLDERS = st.lists(st.sampled_from(["a", "a.", "b-", "é"]), max_size=3).map(
    lambda parts: "".join(p + "/" for p in parts)
)
NAMES = st.builds(lambda folder, file: folder + file, FOLDERS, st.sampled_from(["x", "x.y", "a.x", "z "]))
DATA = st.binary(max_size=20)


class ObjectStoreMachine(RuleBasedStateMachine):
    """Rules act on the store and on the model; invariants compare them."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = FileObjectStore(self.folder)
        self.model = {}
        self.generations = {}

    def teardown(self):
        shutil.rmtree(self.folder)

    def _wrote(self, name, data, info):
        assert info.generation > self.generations.get(name, 0)
        self.generations[name] = info.generation
        self.model[name] = data

    @rule(name=NAMES, data=DATA)
    def write(self, name, data):
        self._wrote(name, data, self.store.write(name, data))

    @rule(name=NAMES, data=DATA)
    def create(self, name, data):
        if name in self.model:
            with pytest.raises(PreconditionFailed):
                self.store.write(name, data, if_generation=0)
        else:
            self._wrote(name, data, self.store.write(name, data, if_generation=0))

    @rule(name=NAMES, data=DATA, is_newest=st.booleans())
    def replace(self, name, data, is_newest):
        generation = self.generations.get(name, 5) + (0 if is_newest else 1)
        if name in self.model and is_newest:
            self._wrote(name, data, self.store.write(name, data, if_generation=generation))
        else:
            with pytest.raises(PreconditionFailed):
                self.store.write(name, data, if_generation=generation)

    @rule(name=NAMES, data=DATA)
    def stream(self, name, data):
        with self.store.open_write(name) as stream:
            stream.write(data)
        self._wrote(name, data, self.store.stat(name))

    @rule(name=NAMES, to=NAMES)
    def copy(self, name, to):
        if name in self.model:
            self._wrote(to, self.model[name], self.store.copy(name, self.store, to))
        else:
            with pytest.raises(NotFound):
                self.store.copy(name, self.store, to)

    @rule(name=NAMES)
    def delete(self, name):
        self.store.delete(name)
        self.model.pop(name, None)

    @rule(name=NAMES)
    def reopen(self, name):
        self.store = FileObjectStore(self.folder)
        assert (self.store.stat(name) is not None) == (name in self.model)

    @rule(prefix=st.text("axyz.-/é ", max_size=5), after=st.one_of(st.just(""), NAMES, st.text("axyz./é", max_size=4)))
    def lists(self, prefix, after):
        expected = sorted(name for name in self.model if name.startswith(prefix) and name > after)
        assert [info.name for info in self.store.list(prefix, start_after=after)] == expected

    @invariant()
    def both_hold_the_same(self):
        assert {info.name: info.generation for info in self.store.list()} == {
            n: self.generations[n] for n in self.model
        }
        assert all(self.store.read(name) == data for name, data in self.model.items())


TestObjectStoreMachine = ObjectStoreMachine.TestCase
TestObjectStoreMachine.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
