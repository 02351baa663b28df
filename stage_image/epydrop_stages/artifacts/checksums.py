"""The sha256 of what is read from a store or written to it, piece by piece."""

from __future__ import annotations

import hashlib
import io
from typing import Any, BinaryIO

from epydrop.stores.port import ObjectStore

_CHUNK = 1 << 20


def sha256_of(store: ObjectStore, name: str) -> str:
    """The digest of an object in hex. Raises NotFound."""
    with store.open_read(name) as stream:
        return sha256_of_stream(stream)


def sha256_of_stream(stream: BinaryIO) -> str:
    """The digest of all that is left in a stream."""
    digest = hashlib.sha256()
    while part := stream.read(_CHUNK):
        digest.update(part)
    return digest.hexdigest()


class Hashed(io.RawIOBase):
    """Passes bytes on, and takes them into ``digest``."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Passes them on."""
        self._target.write(data)
        self.digest.update(data)
        return len(data)
