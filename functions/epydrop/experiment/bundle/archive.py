"""A bundle: a zip with ``experiment.yaml`` at its top and the data files that it refers to.

``open_bundle`` reads the zip's directory and the experiment file, nothing else; ``members`` reads everything and trusts
no size that the zip states. Both check names, file types and sizes.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from epydrop.errors import BadInput, Problem
from epydrop.experiment.bundle.rules import MAX_UNPACKED, check_entries, experiment_name
from epydrop.experiment.data_files import normal_name
from epydrop.experiment.text.yaml_nodes import MAX_BYTES as MAX_EXPERIMENT_BYTES

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

MAX_DIRECTORY = 8 * 1024**2  # bytes; enough for MAX_MEMBERS entries with long names

_CHUNK = 64 * 1024  # bytes; each read may be one request to Cloud Storage
# What the zip module and its decompressors raise for damaged files, besides BadZipFile.
_UNREADABLE = (
    EOFError,
    LookupError,
    NotImplementedError,
    OverflowError,
    ValueError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class Bundle:
    """What a bundle's directory says, and its experiment file. ``sizes`` in bytes, as stated by the zip."""

    file: str
    experiment_name: str
    experiment: bytes
    sizes: dict[str, int]

    def why_missing(self, name: str) -> str:
        """Why a data file is not available, or '' if the bundle has it."""
        return "" if normal_name(name) in self.sizes else f"the bundle {self.file} has no file '{name}'"


class RangeReader(io.RawIOBase):
    """A seekable stream over ``read_range(start, end)``, which returns the bytes in between; ``size`` in bytes."""

    def __init__(self, read_range: Callable[[int, int], bytes], size: int) -> None:
        super().__init__()
        self._read_range = read_range
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """Always True."""
        return True

    def seekable(self) -> bool:
        """Always True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves the position. Before the start it raises io.UnsupportedOperation, which the zip module expects."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise io.UnsupportedOperation(f"cannot seek to {start + offset}")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """The position of the next read."""
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads up to the length of the buffer; returns the number of bytes."""
        end = min(self._position + len(buffer), self._size)
        data = self._read_range(self._position, end) if end > self._position else b""
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


class _Metered(RangeReader):
    """A stream that reads at most ``budget`` bytes: a zip may claim a directory of any length."""

    def __init__(self, stream: BinaryIO, size: int, budget: int) -> None:
        super().__init__(self._read_metered, size)
        self._stream = stream
        self._left = budget

    def _read_metered(self, start: int, end: int) -> bytes:
        self._left -= end - start
        if self._left < 0:
            raise ValueError("the directory is too large")
        self._stream.seek(start)
        return self._stream.read(end - start)


def open_bundle(stream: BinaryIO, size: int, file: str, *, max_unpacked: int = MAX_UNPACKED) -> Bundle:
    """The directory and the experiment file of a bundle of ``size`` bytes. Raises BadInput with all problems.

    ``file`` names the bundle in problems; ``max_unpacked`` in bytes.
    """
    # Twice the experiment: it may be slightly larger compressed than plain, and reads are rounded up to chunks.
    with _zip(_Metered(stream, size, MAX_DIRECTORY + 2 * MAX_EXPERIMENT_BYTES), file) as archive:
        entries = check_entries(archive.infolist(), file, max_unpacked)
        name = experiment_name(entries, file)
        entry = next(one for one in entries if one.filename == name)
        if entry.file_size > MAX_EXPERIMENT_BYTES:
            message = f"{name} has {entry.file_size} bytes, at most {MAX_EXPERIMENT_BYTES} are allowed"
            raise BadInput(Problem(message, file))
        text = archive.read(entry)
    return Bundle(file, name, text, {one.filename: one.file_size for one in entries})


def members(stream: BinaryIO, file: str, *, max_unpacked: int = MAX_UNPACKED) -> Iterator[tuple[str, BinaryIO]]:
    """Every file of a bundle with its name, including the experiment file. Read each stream before taking the next.

    Raises BadInput, also from a stream's ``read``, if the bundle breaks a rule or a file is larger than stated.
    """
    size = stream.seek(0, io.SEEK_END)
    with _zip(_Metered(stream, size, sys.maxsize), file) as archive:
        entries = check_entries(archive.infolist(), file, max_unpacked)
        experiment_name(entries, file)
        for entry in entries:
            with archive.open(entry) as unpacked:
                yield entry.filename, cast("BinaryIO", io.BufferedReader(_Member(unpacked, entry, file)))


class _Member(io.RawIOBase):
    """One unpacked file. The zip module ends it at the stated size and verifies the checksum there."""

    def __init__(self, unpacked: object, entry: ZipInfo, file: str) -> None:
        super().__init__()
        self._unpacked = cast("BinaryIO", unpacked)
        self._name = entry.filename
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with _damage_as_bad_input(self._file, f"'{self._name}' in the bundle is damaged"):
            data = self._unpacked.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _zip(stream: RangeReader, file: str) -> Iterator[ZipFile]:
    from zipfile import ZipFile  # noqa: PLC0415 - lazy: most experiments have no bundle

    # The zip module reads a few bytes at a time, and looks for the directory from the end backwards.
    buffered = cast("BinaryIO", io.BufferedReader(stream, _CHUNK))
    with _damage_as_bad_input(file, "this is not a zip file, or it is damaged"), ZipFile(buffered) as archive:
        yield archive


@contextmanager
def _damage_as_bad_input(file: str, message: str) -> Iterator[None]:
    """Raises the zip module's errors about a damaged file as BadInput; errors of the store pass through."""
    from zipfile import BadZipFile  # noqa: PLC0415 - see _zip

    try:
        yield
    except (BadZipFile, *_UNREADABLE) as error:
        raise BadInput(Problem(message, file, hint=str(error))) from error
