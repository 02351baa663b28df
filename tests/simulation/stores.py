"""Runs and objects in memory; the contract suites of the ports hold them to what the real stores promise."""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from epydrop.core.run import HistoryEntry, Run
from epydrop.errors import NotFound, PreconditionFailed
from epydrop.formats.names import is_object_name
from epydrop.service.ports import Stored
from epydrop.stores.port import ObjectInfo


class MemoryObjects:
    """The ObjectStore port on a dict. Calls ``on_created`` after each write, where Cloud Storage sends an event."""

    def __init__(
        self, url: str, now: Callable[[], datetime], on_created: Callable[[ObjectInfo], None] | None = None
    ) -> None:
        self.url = url
        self.objects: dict[str, tuple[ObjectInfo, bytes]] = {}
        self._now = now
        self._on_created = on_created
        self._generations = itertools.count(1)
        self._lock = threading.Lock()

    def stat(self, name: str) -> ObjectInfo | None:
        found = self.objects.get(_checked(name))
        return found[0] if found else None

    def read(self, name: str, *, generation: int | None = None, start: int = 0, end: int | None = None) -> bytes:
        found = self.objects.get(_checked(name))
        if found is None or generation not in (None, found[0].generation):
            raise NotFound(f"{self.url}{name} does not exist" + (f" as generation {generation}" if generation else ""))
        return found[1][start : None if end is None else max(start, end)]

    @contextmanager
    def open_read(self, name: str) -> Iterator[BinaryIO]:
        yield io.BytesIO(self.read(name))

    def write(self, name: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        with self._lock:
            newest = self.objects.get(_checked(name))
            self._check(name, newest, if_generation)
            info = ObjectInfo(name, next(self._generations), len(data), self._now())
            self.objects[name] = (info, bytes(data))
        if self._on_created:
            self._on_created(info)
        return info

    @contextmanager
    def open_write(self, name: str, *, if_generation: int | None = None) -> Iterator[BinaryIO]:
        buffer = io.BytesIO()
        name = _checked(name)
        yield buffer
        self.write(name, buffer.getvalue(), if_generation=if_generation)

    def write_files(self, files: Mapping[str, Path]) -> None:
        for name, path in files.items():
            self.write(name, path.read_bytes())

    def copy(self, name: str, target: MemoryObjects, target_name: str, *, generation: int | None = None) -> ObjectInfo:
        return target.write(target_name, self.read(name, generation=generation))

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        names = (name for name in list(self.objects) if name.startswith(prefix) and _key(name) > _key(start_after))
        for name in sorted(names, key=_key):
            if found := self.objects.get(name):
                yield found[0]

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        with self._lock:
            newest = self.objects.get(_checked(name))
            if newest is not None:
                self._check(name, newest, if_generation)
                del self.objects[name]

    def _check(self, name: str, newest: tuple[ObjectInfo, bytes] | None, if_generation: int | None) -> None:
        found = newest[0].generation if newest else 0
        if if_generation not in (None, found):
            raise PreconditionFailed(f"{self.url}{name} has generation {found}, expected {if_generation}")


class MemoryRuns:
    """The RunStore port on a dict. ``on_saved`` sees each run just before it is stored."""

    def __init__(self) -> None:
        self.on_saved: Callable[[Run | None, Run, HistoryEntry], None] = lambda before, run, entry: None
        self.runs: dict[str, Stored] = {}
        self.entries: dict[str, list[HistoryEntry]] = {}
        self._lock = threading.Lock()

    def load(self, run_id: str) -> Stored | None:
        return self.runs.get(run_id)

    def create(self, run: Run, entry: HistoryEntry) -> None:
        with self._lock:
            if run.run_id not in self.runs:
                self._store(None, run, entry)
            elif self.runs[run.run_id] != Stored(run, "1") or self.entries[run.run_id] != [entry]:
                raise PreconditionFailed(f"run {run.run_id} exists already")

    def save(self, run: Run, revision: str, entry: HistoryEntry) -> None:
        with self._lock:
            stored = self.runs.get(run.run_id)
            if stored is None or stored.revision != revision:
                raise PreconditionFailed(f"run {run.run_id} has changed since revision {revision}")
            self._store(stored.run, run, entry)

    def unfinished(self) -> Iterator[str]:
        runs = [stored.run for stored in self.runs.values()]
        return iter([run.run_id for run in runs if run.phase.is_open or run.unsettled])

    def newest(self, limit: int) -> Iterator[Run]:
        return itertools.islice(reversed(self._sorted()), limit)

    def history(self, run_id: str) -> Iterator[HistoryEntry]:
        return iter(list(self.entries.get(run_id, ())))

    def _sorted(self) -> list[Run]:
        return sorted((stored.run for stored in self.runs.values()), key=lambda run: (run.created, run.run_id))

    def _store(self, before: Run | None, run: Run, entry: HistoryEntry) -> None:
        self.on_saved(before, run, entry)
        entries = self.entries.setdefault(run.run_id, [])
        entries.append(entry)
        self.runs[run.run_id] = Stored(run, str(len(entries)))


def _key(name: str) -> bytes:
    return name.encode()


def _checked(name: str) -> str:
    if not is_object_name(name):
        raise ValueError(f"{name!r} is no name of an object")
    return name
