"""Artifacts: values pickled with dill, compressed with zstd and signed in a trailing skippable frame.

The frame comes last so that a value can be written in one pass; other tools (``zstd -d``) skip it. Its layout, with
little-endian integers and lengths in bytes::

    magic 0x184D2A5E (4) | length of the rest (4) | header, JSON (n) | HMAC-SHA256 (32) | n (4) | b"EPYDROP1" (8)

The HMAC covers the compressed bytes and then every field of the header, each preceded by its length. The name of the
object is one of them, so an artifact is of no use in another place of the run. A reader states which it expects.
Signature and expectation are checked before anything is decompressed or unpickled, because unpickling runs code.
"""

from __future__ import annotations

import hmac
import io
import os
import platform
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, cast

import dill
import zstandard

from epydrop.errors import IntegrityError, NotFound
from epydrop.formats.names import Stage
from epydrop.stores.port import ObjectStore
from epydrop_stages.artifacts.signatures import (
    MAX_FRAME,
    MIN_FRAME,
    Header,
    SigningKeys,
    check_place,
    parse_frame,
    to_frame,
)

MAX_DECOMPRESSED = 8 << 30  # bytes; a bound, because a few KiB of zstd can expand to any size

_CHUNK = 1 << 20
_LEVEL = 3  # zstd's default: higher levels cost more time than the transfer saves


class Source(Protocol):
    """Where artifacts are read from: a store, or objects prefetched from one."""

    def open_read(self, name: str) -> AbstractContextManager[BinaryIO]:
        """The object as a seekable binary stream. Raises NotFound."""


@dataclass(frozen=True)
class Meta:
    """The identity of an artifact: stated by the writer, expected by the reader."""

    kind: str
    run_id: str
    stage: Stage
    index: int


def write_artifact(
    store: ObjectStore, name: str, value: object, meta: Meta, keys: SigningKeys, *, image: str = ""
) -> None:
    """Store the value, signed with the newest key, in one pass. The object appears whole or not at all."""
    key_id = keys.newest
    with store.open_write(name) as raw:
        signed = _Signed(raw, keys.start(key_id))
        # The checksum lets other tools (zstd -t) check the file without the key.
        compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        with compressor.stream_writer(cast("BinaryIO", signed), closefd=False) as compressed:
            dill.dump(value, compressed)
        header = Header(
            key_id=key_id,
            name=name,
            kind=meta.kind,
            run_id=meta.run_id,
            stage=str(meta.stage),
            index=meta.index,
            image=image,
            python=platform.python_version(),
            compressed=signed.size,
        )
        raw.write(to_frame(header, signed.mac))


def read_artifact(
    source: Source, name: str, expected: Meta, keys: SigningKeys, *, max_bytes: int = MAX_DECOMPRESSED
) -> Any:
    """Verify an artifact and return its value.

    Raises NotFound, or IntegrityError with the reason: the bytes are not genuine, the artifact is another one than
    expected, it decompresses to more than ``max_bytes``, or this version of the code cannot unpickle it.
    """
    with source.open_read(name) as stream:
        header = _verify(stream, name, expected, keys)
        stream.seek(0)
        part = cast("BinaryIO", _First(stream, header.compressed))
        plain = zstandard.ZstdDecompressor().stream_reader(part, read_across_frames=True, closefd=False)
        try:
            return dill.load(io.BufferedReader(_Bounded(plain, max_bytes, name), _CHUNK))  # noqa: S301 - signed by us, as was just verified
        except (MemoryError, IntegrityError):  # the first has an exit code of its own, the second is from _Bounded
            raise
        except Exception as error:
            raise IntegrityError(_unreadable(name, header, error)) from error


def is_valid(source: Source, name: str, expected: Meta, keys: SigningKeys) -> bool:
    """Whether the artifact exists and verifies, without decompressing it."""
    try:
        check_artifact(source, name, expected, keys)
    except (NotFound, IntegrityError):
        return False
    return True


def check_artifact(source: Source, name: str, expected: Meta, keys: SigningKeys) -> None:
    """As ``read_artifact``, but without decompressing or unpickling the value."""
    with source.open_read(name) as stream:
        _verify(stream, name, expected, keys)


def _unreadable(name: str, header: Header, error: Exception) -> str:
    """The message for a genuine artifact that does not unpickle, as after an update that moved a class."""
    return (
        f"{name} was written by another version of epydrop or of a package that it uses; run the experiment again "
        f"({type(error).__name__}: {error}; written with Python {header.python}, read with {platform.python_version()})"
    )


def _verify(stream: BinaryIO, name: str, expected: Meta, keys: SigningKeys) -> Header:
    """Check frame, signature and identity in one pass over the bytes, in constant memory. Raises IntegrityError."""
    size = stream.seek(0, os.SEEK_END)
    if size < MIN_FRAME:
        raise IntegrityError(f"{name} has {size} bytes: it is truncated, or was never an artifact")
    tail_size = min(size, MAX_FRAME)
    stream.seek(size - tail_size)
    header, mac, frame_size = parse_frame(_read_exactly(stream, tail_size, name), name)
    if header.compressed + frame_size != size:
        raise IntegrityError(
            f"{name} is truncated or altered: it has {size} bytes, its frame says {header.compressed + frame_size}"
        )
    if header.key_id not in keys:
        raise IntegrityError(f"{name} is signed with the unknown key {header.key_id!r}; known are {keys.ids}")
    running = keys.start(header.key_id)
    stream.seek(0)
    _feed(running, stream, header.compressed, name)
    if not hmac.compare_digest(header.mac_with(running), mac):
        raise IntegrityError(f"{name} is altered: its signature does not fit its bytes")
    _expect(header, expected, name)  # after the signature: before that, the header may be anybody's
    return header


def _expect(header: Header, expected: Meta, name: str) -> None:
    """Raises IntegrityError if a genuine artifact is not the expected one."""
    facts = (
        ("kind", header.kind, expected.kind),
        ("run", header.run_id, expected.run_id),
        ("stage", header.stage, str(expected.stage)),
        ("index", header.index, expected.index),
        ("name", header.name, name),
    )
    check_place(name, header.name, header.run_id, facts)


def _read_exactly(stream: BinaryIO, size: int, name: str) -> bytes:
    parts = []
    while size:
        part = stream.read(size)
        if not part:
            raise IntegrityError(f"{name} is truncated: it ended while it was read")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _feed(mac: hmac.HMAC, stream: BinaryIO, size: int, name: str) -> None:
    while size:
        part = _read_exactly(stream, min(size, _CHUNK), name)
        mac.update(part)
        size -= len(part)


class _Signed(io.RawIOBase):
    """A writable stream that passes bytes on to ``target`` and adds them to the signature."""

    def __init__(self, target: BinaryIO, mac: hmac.HMAC) -> None:
        self._target = target
        self.mac = mac
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._target.write(data)
        self.mac.update(data)
        self.size += len(data)
        return len(data)


class _First(io.RawIOBase):
    """The first ``size`` bytes of a stream: the compressed value without the frame after it."""

    def __init__(self, source: BinaryIO, size: int) -> None:
        self._source = source
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


class _Bounded(io.RawIOBase):
    """Decompressed bytes; raises IntegrityError beyond ``max_bytes``."""

    def __init__(self, source: BinaryIO, max_bytes: int, name: str) -> None:
        self._source = source
        self._left = max_bytes
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise IntegrityError(f"{self._name} decompresses to more bytes than are allowed")
        buffer[: len(data)] = data
        return len(data)
