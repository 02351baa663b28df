"""Files that appear whole: written aside, then renamed, with a generation that grows with each write.

Nothing here calls fsync: what was written before a process was killed is safe in the system's cache, and only a
failing power supply could tear a file. A forecast that takes minutes to compute again does not need more.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import os
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from epydrop.errors import ConfigurationError, EpydropError, PreconditionFailed, RetryableError

ASIDE = ".epydrop-partial"
"""The folder, inside a store's own, that holds what is being written; no object may have it in its name."""

_STALE_AFTER = 24 * 3600.0  # seconds; far longer than any write takes
_STEPS = (1, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000)  # ns; some file systems keep whole seconds only
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_PASSES = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE)
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


def facts_of(path: Path) -> os.stat_result | None:
    """The facts of a regular file, or None."""
    try:
        facts = path.stat()
    except _ABSENT:
        return None
    return facts if stat.S_ISREG(facts.st_mode) else None


def md5_of(path: Path) -> str:
    """The MD5 of a file's bytes in base64, as Cloud Storage tells it."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return base64.b64encode(digest.digest()).decode()


@contextmanager
def written_aside(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file in the store's folder that no list shows; it is gone after the block unless it was moved."""
    aside = folder / ASIDE
    try:
        aside.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigurationError(f"{folder} cannot hold objects: {error}") from error
    path = aside / f"{os.getpid()}-{uuid.uuid4().hex}"
    try:
        with path.open("xb") as file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


def remove_stale(folder: Path) -> None:
    """Removes what writers that were killed left aside more than a day ago."""
    before = time.time() - _STALE_AFTER
    with suppress(OSError), os.scandir(folder / ASIDE) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.stat().st_mtime < before:
                    Path(entry.path).unlink()


def publish(aside: Path, target: Path, if_generation: int | None) -> os.stat_result:
    """Makes a written file the newest generation of ``target``.

    Raises PreconditionFailed if the precondition fails, ValueError if a folder of that name holds objects.
    """
    with locked(target.parent, make=True):
        newest = facts_of(target)
        demand(target, newest, if_generation)
        if newest is None and target.is_dir():
            _clear(target)
        facts = _stamped(aside, newest.st_mtime_ns if newest else 0)
        if if_generation == 0:
            _link(aside, target)
        else:
            aside.replace(target)
    return facts


def remove(path: Path, if_generation: int | None, root: Path) -> None:
    """Removes a file and the folders that it leaves empty, below ``root``. Raises PreconditionFailed like ``publish``."""
    with suppress(*_ABSENT):
        with locked(path.parent, make=False):
            newest = facts_of(path)
            if newest is None:
                return
            demand(path, newest, if_generation)
            path.unlink()
        _remove_empty(path.parent, root)


def demand(path: Path, newest: os.stat_result | None, if_generation: int | None) -> None:
    """Raises PreconditionFailed unless ``if_generation`` is None or the newest generation, 0 standing for no object."""
    found = newest.st_mtime_ns if newest else 0
    if if_generation is not None and found != if_generation:
        expected = f"generation {if_generation}" if if_generation else "no object"
        raise PreconditionFailed(
            f"{path} has generation {found}, expected {expected}" if found else f"{path} does not exist"
        )


@contextmanager
def locked(folder: Path, *, make: bool) -> Iterator[None]:
    """Holds the folder's lock, so that of several writers each sees what the one before it did.

    The lock is on the folder itself: it needs no file of its own, is the same for stores opened at
    different levels, and ends with the process. Raises FileNotFoundError if there is no folder to lock.
    """
    while True:
        if make:
            _make(folder)
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            if make:
                continue  # removed as empty since it was made
            raise
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_still(handle, folder):
                yield
                return
        finally:
            os.close(handle)


@contextmanager
def told(name: str) -> Iterator[None]:
    """The system's errors about an object in our own words."""
    try:
        yield
    except _ABSENT:
        raise
    except OSError as error:
        raise _meaning(name, error) from error


def _meaning(name: str, error: OSError) -> EpydropError | ValueError:
    if error.errno == errno.ENAMETOOLONG:
        return ValueError(f"the name {name!r} is longer than this file system allows")
    if error.errno in _PASSES:
        return RetryableError(f"{name}: {error}")
    return ConfigurationError(f"{name}: {error}; the folder must be readable and writable")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:
        return  # a parent was removed as empty meanwhile; the caller tries again
    except (FileExistsError, NotADirectoryError):
        for part in (folder, *folder.parents):
            if facts_of(part):
                raise ValueError(f"{part} is an object; on this machine none can lie below it") from None


def _is_still(handle: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), folder.stat())
    except FileNotFoundError:
        return False


def _stamped(path: Path, newest: int) -> os.stat_result:
    """Gives the file a time later than ``newest`` (ns), however coarse the file system's clock is."""
    now = time.time_ns()
    for step in _STEPS:
        moment = max(now, newest + step)
        os.utime(path, ns=(moment, moment))
        facts = path.stat()
        if facts.st_mtime_ns > newest:
            return facts
    raise ConfigurationError(
        f"the file system of {path} does not keep the times of files, so objects would have no generation"
    )


def _link(aside: Path, target: Path) -> None:
    """Like a rename that fails when the target exists, even if somebody who knows no lock made it just now."""
    try:
        os.link(aside, target)
    except FileExistsError:
        raise PreconditionFailed(f"{target} exists already") from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        aside.replace(target)  # no hard links here; the folder's lock still holds off every other writer


def _clear(folder: Path) -> None:
    """Removes a folder that holds only empty folders, in whose place an object is to be."""
    for part, _, files in os.walk(folder, topdown=False):
        if files:
            raise ValueError(f"{folder} is a folder of objects; on this machine no object can have its name")
        with suppress(FileNotFoundError):
            Path(part).rmdir()


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root and root in folder.parents:
        try:
            with locked(folder, make=False):
                folder.rmdir()
        except OSError:
            return  # not empty, or somebody else was quicker
        folder = folder.parent
