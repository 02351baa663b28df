"""Objects as files under one folder, each under its own name, so that people can look at them."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from epydrop.errors import NotFound
from epydrop.stores import files
from epydrop.stores.port import ObjectInfo, ObjectStore
from epydrop_workstation.local.envelopes import Envelope, finalize_envelope

_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class FileObjectStore:
    """The ObjectStore port on a folder. Each write hands ``emit`` the event that Cloud Storage would send.

    Two things differ from Cloud Storage: one object's name cannot be the folder of another, and links
    to folders are not followed in lists. A person may copy files in; the file's time is its generation.
    """

    def __init__(self, folder: Path, emit: Callable[[Envelope], None] | None = None, bucket: str = "") -> None:
        self.folder = folder.absolute()
        self.url = self.folder.as_uri().rstrip("/") + "/"
        self._emit = emit
        self._bucket = bucket
        self._is_tidy = False

    def stat(self, name: str) -> ObjectInfo | None:
        """The newest generation of an object, or None."""
        path = self._path(name)
        with files.told(name):
            facts = files.facts_of(path)
        return _info(name, facts) if facts else None

    def read(self, name: str, *, generation: int | None = None, start: int = 0, end: int | None = None) -> bytes:
        """The bytes from ``start`` up to ``end``. Raises NotFound, also when that generation is not the newest."""
        with self._opened(name, generation) as file:
            file.seek(start)
            return file.read() if end is None else file.read(max(0, end - start))

    def announce(self, name: str) -> None:
        """Emits the event of an object's newest generation once more, for when the first one was lost."""
        info = self.stat(name)
        if info and self._emit:
            self._emit(finalize_envelope(self._bucket, info, files.md5_of(self._path(name))))

    @contextmanager
    def open_read(self, name: str) -> Iterator[BinaryIO]:
        """The object as a seekable stream; later writes do not touch it. Raises NotFound."""
        with self._opened(name, None) as file:
            yield file

    def write(self, name: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        """Stores an object. ``if_generation`` 0 demands that none exists, n that n is the newest: else PreconditionFailed."""
        path = self._path(name)
        with files.told(name), self._aside() as (aside, file):
            file.write(data)
            file.close()
            return self._publish(name, aside, path, if_generation)

    @contextmanager
    def open_write(self, name: str, *, if_generation: int | None = None) -> Iterator[BinaryIO]:
        """A stream whose object appears when the block ends without an exception, and never otherwise."""
        path = self._path(name)
        with self._aside() as (aside, file):
            yield file
            with files.told(name):
                file.close()
                self._publish(name, aside, path, if_generation)

    def write_files(self, files: Mapping[str, Path]) -> None:
        """Stores each file under its name, one after the other: one disk gains nothing from several at a time."""
        for name, path in files.items():
            with path.open("rb") as source, self.open_write(name) as target:
                shutil.copyfileobj(source, target, 1 << 20)

    def copy(self, name: str, target: ObjectStore, target_name: str, *, generation: int | None = None) -> ObjectInfo:
        """Copies an object to a store of files. Raises NotFound, like ``read``."""
        if not isinstance(target, FileObjectStore):
            raise TypeError(f"a file can only be copied to a store of files, not to {target.url}")
        path = target._path(target_name)  # noqa: SLF001 - a store of the same kind
        with self._opened(name, generation) as source, target._aside() as (aside, file):  # noqa: SLF001
            shutil.copyfileobj(source, file, 1 << 20)
            file.close()
            with files.told(target_name):
                return target._publish(target_name, aside, path, None)  # noqa: SLF001

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """All objects whose names begin with ``prefix``, in the order of their names, folder by folder."""
        return _walk(self.folder, "", prefix, start_after)

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        """Removes an object; nothing happens when there is none. Raises PreconditionFailed, like ``write``."""
        path = self._path(name)
        with files.told(name):
            files.remove(path, if_generation, self.folder)

    def _path(self, name: str) -> Path:
        parts = name.split("/")
        if "\0" in name or any(part in ("", ".", "..", files.ASIDE) for part in parts):
            raise ValueError(f"{name!r} is no name for an object; its parts may not be empty, '.' or '..'")
        return self.folder.joinpath(*parts)

    @contextmanager
    def _opened(self, name: str, generation: int | None) -> Iterator[BinaryIO]:
        path = self._path(name)
        try:
            with files.told(name):
                file = path.open("rb")
        except _ABSENT:
            raise NotFound(f"there is no object {self.url}{name}") from None
        with file:
            found = os.fstat(file.fileno()).st_mtime_ns
            if generation not in (None, found):
                raise NotFound(f"{self.url}{name} has generation {found}, not {generation}")
            yield file

    @contextmanager
    def _aside(self) -> Iterator[tuple[Path, BinaryIO]]:
        if not self._is_tidy:
            files.remove_stale(self.folder)
            self._is_tidy = True
        with files.written_aside(self.folder) as opened:
            yield opened

    def _publish(self, name: str, aside: Path, path: Path, if_generation: int | None) -> ObjectInfo:
        md5 = files.md5_of(aside) if self._emit else ""  # now: later the name may hold another generation
        info = _info(name, files.publish(aside, path, if_generation))
        if self._emit:
            # Killed here, the event is lost, as Google's may be: the sweep finds dropped files without a run.
            self._emit(finalize_envelope(self._bucket, info, md5))
        return info


def _info(name: str, facts: os.stat_result) -> ObjectInfo:
    return ObjectInfo(name, facts.st_mtime_ns, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))


def _walk(folder: Path, base: str, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
    """The objects below one folder. A folder sorts as its name and '/', which is how all names in it begin."""
    for key, entry in sorted(_entries(folder).items()):
        name = base + key
        if key.endswith("/"):
            is_past = name < start_after and not start_after.startswith(name)
            if not is_past and (name.startswith(prefix) or prefix.startswith(name)):
                yield from _walk(Path(entry.path), name, prefix, start_after)
        elif name > start_after and name.startswith(prefix):
            facts = _facts(entry)
            if facts:
                yield _info(name, facts)


def _entries(folder: Path) -> dict[str, os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return {
                entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name: entry
                for entry in entries
                if entry.name != files.ASIDE and _is_text(entry.name)
            }
    except _ABSENT:
        return {}


def _is_text(name: str) -> bool:
    """Whether the file's name is one that an object can have: bytes that are no UTF-8 cannot be written in JSON."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _facts(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        facts = entry.stat()
    except OSError:
        return None  # removed since the folder was read, or a link to nowhere
    return facts if stat.S_ISREG(facts.st_mode) else None
