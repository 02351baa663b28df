"""The stores of the simulation keep the promises of the real ones."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from contracts.object_store import ObjectStoreContract
from contracts.run_store import RunStoreContract

from simulation.stores import MemoryObjects, MemoryRuns


def objects(url):
    return MemoryObjects(url, lambda: datetime.now(UTC))


class TestMemoryObjects(ObjectStoreContract):
    """The contract."""

    @pytest.fixture
    def store(self):
        self._store = objects("gs://one/")
        return self._store

    @pytest.fixture
    def other(self):
        return objects("gs://two/")

    def raw_write(self, name, data):
        self._store.write(name, data)

    def raw_read(self, name):
        found = self._store.objects.get(name)
        return found[1] if found else None


class TestMemoryRuns(RunStoreContract):
    """The contract."""

    @pytest.fixture
    def store(self):
        return MemoryRuns()
