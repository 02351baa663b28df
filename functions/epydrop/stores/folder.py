"""Objects as files in one folder, each under its own name, so that people can look at them."""

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
from epydrop.formats.names import is_object_name
from epydrop.stores import whole_files
from epydrop.stores.port import ObjectInfo, ObjectStore
from epydrop.stores.whole_files import ABSENT, PARTIAL, translated_errors

_BUFFER = 1 << 20  # bytes

OnCreated = Callable[[ObjectInfo, str], None]
"""Called with each new generation and the MD5 of its bytes in base64."""


class FileObjectStore:
    """The ObjectStore port on a folder. Calls ``on_created`` after each write, where Cloud Storage sends an event.

    Two things differ from Cloud Storage: an object's name cannot also be a folder of other objects, and lists do not
    follow links to folders. People may copy files in: a file's modification time is its generation.
    """

    def __init__(self, folder: Path, on_created: OnCreated | None = None) -> None:
        self.folder = folder.absolute()
        self.url = self.folder.as_uri().rstrip("/") + "/"
        self._on_created = on_created
        self._has_removed_stale = False

    def stat(self, name: str) -> ObjectInfo | None:
        """The newest generation of an object, or None if there is no such object."""
        path = self._path(name)
        with translated_errors(name):
            found = whole_files.stat_of(path)
        return _info(name, found) if found else None

    def read(self, name: str, *, generation: int | None = None, start: int = 0, end: int | None = None) -> bytes:
        """The bytes from ``start`` up to, not including, ``end``. Raises NotFound; see the port."""
        with self._opened(name, generation) as file:
            file.seek(start)
            return file.read() if end is None else file.read(max(0, end - start))

    def notify_again(self, name: str) -> None:
        """Calls ``on_created`` again for an object's newest generation, in case the first event was lost."""
        info = self.stat(name)
        if info and self._on_created:
            self._on_created(info, whole_files.md5_of(self._path(name)))

    @contextmanager
    def open_read(self, name: str) -> Iterator[BinaryIO]:
        """The object as a seekable stream, which later writes do not change. Raises NotFound."""
        with self._opened(name, None) as file:
            yield file

    def write(self, name: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        """Stores an object. Raises PreconditionFailed; see the port."""
        path = self._path(name)
        with translated_errors(name), self._temporary_file() as (temporary, file):
            file.write(data)
            file.close()
            return self._publish(name, temporary, path, if_generation)

    @contextmanager
    def open_write(self, name: str, *, if_generation: int | None = None) -> Iterator[BinaryIO]:
        """A stream whose content becomes the object when the block ends; if the block raises, nothing is stored."""
        path = self._path(name)
        with self._temporary_file() as (temporary, file):
            yield file
            with translated_errors(name):
                file.close()
                self._publish(name, temporary, path, if_generation)

    def write_files(self, files: Mapping[str, Path]) -> None:
        """Stores each file under its name, one after the other: parallel writes to one disk gain nothing."""
        for name, path in files.items():
            with path.open("rb") as source, self.open_write(name) as target:
                shutil.copyfileobj(source, target, _BUFFER)

    def copy(self, name: str, target: ObjectStore, target_name: str, *, generation: int | None = None) -> ObjectInfo:
        """Copies an object to another FileObjectStore. Raises NotFound, like ``read``."""
        if not isinstance(target, FileObjectStore):
            raise TypeError(f"a file can only be copied to another local store, not to {target.url}")
        path = target._path(target_name)  # noqa: SLF001 - a store of the same class
        with self._opened(name, generation) as source, target._temporary_file() as (temporary, file):  # noqa: SLF001
            shutil.copyfileobj(source, file, _BUFFER)
            file.close()
            with translated_errors(target_name):
                return target._publish(target_name, temporary, path, None)  # noqa: SLF001

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """All objects whose names begin with ``prefix`` and sort after ``start_after``; reads one folder at a time."""
        return _walk(self.folder, "", prefix, start_after)

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        """Deletes an object; does nothing if there is none. Raises PreconditionFailed, like ``write``."""
        path = self._path(name)
        with translated_errors(name):
            whole_files.remove(path, if_generation, self.folder)

    def _path(self, name: str) -> Path:
        parts = name.split("/")
        if not is_object_name(name) or PARTIAL in parts:
            raise ValueError(f"{name!r} is not a valid object name; no part may be empty, '.', '..' or {PARTIAL!r}")
        return self.folder.joinpath(*parts)

    @contextmanager
    def _opened(self, name: str, generation: int | None) -> Iterator[BinaryIO]:
        path = self._path(name)
        try:
            with translated_errors(name):
                file = path.open("rb")
        except ABSENT:
            raise NotFound(f"there is no object {self.url}{name}") from None
        with file:
            # The open file's own time: the name may refer to a newer generation by now.
            found = os.fstat(file.fileno()).st_mtime_ns
            if generation not in (None, found):
                raise NotFound(f"{self.url}{name} has generation {found}, not {generation}")
            yield file

    @contextmanager
    def _temporary_file(self) -> Iterator[tuple[Path, BinaryIO]]:
        if not self._has_removed_stale:
            whole_files.remove_stale(self.folder)
            self._has_removed_stale = True
        with whole_files.temporary_file(self.folder) as opened:
            yield opened

    def _publish(self, name: str, temporary: Path, path: Path, if_generation: int | None) -> ObjectInfo:
        # Hashed before the rename: afterwards another writer may have replaced the file.
        md5 = whole_files.md5_of(temporary) if self._on_created else ""
        info = _info(name, whole_files.publish(temporary, path, if_generation))
        if self._on_created:
            # If the process is killed here the event is lost, as Google's may be: the sweep finds files without a run.
            self._on_created(info, md5)
        return info


def _info(name: str, found: os.stat_result) -> ObjectInfo:
    return ObjectInfo(name, found.st_mtime_ns, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _walk(folder: Path, base: str, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
    """The objects below one folder. A folder sorts by its name with a '/', because all names in it begin so."""
    for key, entry in sorted(_entries(folder).items()):
        name = base + key
        if key.endswith("/"):
            is_before = name < start_after and not start_after.startswith(name)
            if not is_before and (name.startswith(prefix) or prefix.startswith(name)):
                yield from _walk(Path(entry.path), name, prefix, start_after)
        elif name > start_after and name.startswith(prefix):
            found = _stat_of(entry)
            if found:
                yield _info(name, found)


def _entries(folder: Path) -> dict[str, os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return {
                entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name: entry
                for entry in entries
                if entry.name != PARTIAL and _is_utf8(entry.name)
            }
    except ABSENT:
        return {}


def _is_utf8(name: str) -> bool:
    """Whether the file name is valid UTF-8, as object names and the JSON of events must be."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _stat_of(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        found = entry.stat()
    except OSError:
        return None  # removed since the folder was read, or a broken link
    return found if stat.S_ISREG(found.st_mode) else None
