"""Digests of objects and streams, computed in constant memory."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any, BinaryIO

from epydrop.stores.port import ObjectStore

_CHUNK = 1 << 20


def sha256_of(store: ObjectStore, name: str) -> str:
    """SHA-256 of an object, in hex. Raises NotFound."""
    with store.open_read(name) as stream:
        return sha256_of_stream(stream)


def sha256_of_stream(stream: BinaryIO) -> str:
    """SHA-256 of the rest of a stream, in hex."""
    digest = hashlib.sha256()
    while part := stream.read(_CHUNK):
        digest.update(part)
    return digest.hexdigest()


def sha256_and_md5_of_stream(stream: BinaryIO) -> tuple[str, str]:
    """Both digests of the rest of a stream in one pass: SHA-256 in hex, MD5 in base64 as Cloud Storage reports it."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    while part := stream.read(_CHUNK):
        sha256.update(part)
        md5.update(part)
    return sha256.hexdigest(), base64.b64encode(md5.digest()).decode()


class HashingWriter(io.RawIOBase):
    """A writable stream that passes bytes on to ``target`` and adds them to ``digest``."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        """Always true; required by ``io``."""
        return True

    def write(self, data: Any) -> int:
        """Pass the bytes on; returns their number."""
        self._target.write(data)
        self.digest.update(data)
        return len(data)
