"""Files that are replaced whole: written to a temporary file, then renamed. The modification time is the generation.

Nothing here calls fsync. What a process wrote before it was killed is safe in the page cache; only a power failure
could tear a file, and a forecast takes minutes to compute again.
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

PARTIAL = ".epydrop-partial"
"""The subfolder for files that are still being written; reserved, so no part of an object's name may equal it."""

ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""What opening or removing a path raises if it is not a regular file."""

_STALE_AFTER = 24 * 3600.0  # seconds; far longer than any write takes
# ns to add until the modification time increases: file systems keep it in ns, us, ms, s or, as FAT does, 2 s.
_STEPS = (1, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_TRANSIENT = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE)


def stat_of(path: Path) -> os.stat_result | None:
    """The status of a regular file, or None if the path is anything else."""
    try:
        found = path.stat()
    except ABSENT:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def md5_of(path: Path) -> str:
    """The MD5 of a file's bytes in base64, the form that Cloud Storage reports."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return base64.b64encode(digest.digest()).decode()


@contextmanager
def temporary_file(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file in ``folder/PARTIAL``; deleted after the block unless ``publish`` moved it."""
    partial = folder / PARTIAL
    try:
        partial.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigurationError(f"{folder} cannot hold objects: {error}") from error
    # In the store's own folder, because a rename is atomic only within one file system.
    path = partial / f"{os.getpid()}-{uuid.uuid4().hex}"
    try:
        with path.open("xb") as file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


def remove_stale(folder: Path) -> None:
    """Deletes temporary files that killed writers left more than a day ago."""
    before = time.time() - _STALE_AFTER
    with suppress(OSError), os.scandir(folder / PARTIAL) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.stat().st_mtime < before:
                    Path(entry.path).unlink()


def publish(temporary: Path, target: Path, if_generation: int | None) -> os.stat_result:
    """Makes a temporary file the newest generation of ``target``.

    Raises PreconditionFailed, or ValueError if a folder with that name holds objects.
    """
    with locked(target.parent, make=True):
        newest = stat_of(target)
        check_generation(target, newest, if_generation)
        if newest is None and target.is_dir():
            _remove_empty_tree(target)
        published = _stamped(temporary, newest.st_mtime_ns if newest else 0)
        if if_generation == 0:
            _link(temporary, target)
        else:
            temporary.replace(target)
    return published


def remove(path: Path, if_generation: int | None, root: Path) -> None:
    """Deletes a file, and its parent folders below ``root`` if they become empty. Raises PreconditionFailed."""
    with suppress(*ABSENT):
        with locked(path.parent, make=False):
            newest = stat_of(path)
            if newest is None:
                return
            check_generation(path, newest, if_generation)
            path.unlink()
        _remove_empty_parents(path.parent, root)


def check_generation(path: Path, newest: os.stat_result | None, if_generation: int | None) -> None:
    """Raises PreconditionFailed unless ``if_generation`` is None or the newest generation; 0 means no object."""
    found = newest.st_mtime_ns if newest else 0
    if if_generation is not None and found != if_generation:
        expected = f"generation {if_generation}" if if_generation else "no object"
        raise PreconditionFailed(
            f"{path} has generation {found}, expected {expected}" if found else f"{path} does not exist"
        )


@contextmanager
def locked(folder: Path, *, make: bool) -> Iterator[None]:
    """Holds an exclusive lock on the folder, so that checking a generation and replacing the file are one step.

    The lock is flock(2) on the folder itself: it needs no lock file, is the same for stores opened at different
    levels, and ends with the process. Raises FileNotFoundError if there is no folder and ``make`` is False.
    """
    while True:
        if make:
            _make(folder)
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            if make:
                continue  # another process removed it as empty since _make
            raise
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # While we waited, the folder may have been removed and made again: then this lock guards nothing.
            if _is_still(handle, folder):
                yield
                return
        finally:
            os.close(handle)


@contextmanager
def translated_errors(name: str) -> Iterator[None]:
    """Raises OSError as RetryableError, ConfigurationError or ValueError; lets the errors in ``ABSENT`` through."""
    try:
        yield
    except ABSENT:
        raise
    except OSError as error:
        raise _translated(name, error) from error


def _translated(name: str, error: OSError) -> EpydropError | ValueError:
    if error.errno == errno.ENAMETOOLONG:
        return ValueError(f"the name {name!r} is longer than this file system allows")
    if error.errno in _TRANSIENT:
        return RetryableError(f"{name}: {error}")
    return ConfigurationError(f"{name}: {error}; the folder must be readable and writable")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:
        return  # a parent was removed as empty meanwhile; the caller tries again
    except (FileExistsError, NotADirectoryError):
        for part in (folder, *folder.parents):
            if stat_of(part):
                raise ValueError(f"{part} is an object; in a local folder no object can be stored below it") from None


def _is_still(handle: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), folder.stat())
    except FileNotFoundError:
        return False


def _stamped(path: Path, newest: int) -> os.stat_result:
    """Gives the file a modification time later than ``newest`` (ns), however coarse the file system's clock is."""
    # Set rather than left to the system: two writes within one tick of its clock would have the same generation.
    now = time.time_ns()
    for step in _STEPS:
        moment = max(now, newest + step)
        os.utime(path, ns=(moment, moment))
        found = path.stat()
        if found.st_mtime_ns > newest:
            return found
    raise ConfigurationError(
        f"the file system of {path} does not store modification times, which are the generations of objects"
    )


def _link(temporary: Path, target: Path) -> None:
    """Like a rename that fails if the target exists, even if a program that does not know our lock made it just now."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise PreconditionFailed(f"{target} exists already") from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        temporary.replace(target)  # no hard links on this file system; the lock still excludes our own writers


def _remove_empty_tree(folder: Path) -> None:
    """Deletes a folder that holds only empty folders, so that an object can take its name."""
    for part, _, files in os.walk(folder, topdown=False):
        if files:
            raise ValueError(f"{folder} is a folder of objects; in a local folder no object can have its name")
        with suppress(FileNotFoundError):
            Path(part).rmdir()


def _remove_empty_parents(folder: Path, root: Path) -> None:
    while folder != root and root in folder.parents:
        try:
            # Locked, so that no writer that has just made sure of the folder loses it before its rename.
            with locked(folder, make=False):
                folder.rmdir()
        except OSError:
            return  # not empty, or another process removed it first
        folder = folder.parent
