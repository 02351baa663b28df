"""Looks for secrets in everything that lies in a folder: as written, in other spellings, and inside of packed files."""

from __future__ import annotations

import base64
import gzip
import io
import lzma
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import zstandard
from pyarrow import parquet

_ZSTD, _GZIP, _ZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"PK\x03\x04"
_XZ, _PARQUET, _SQLITE = b"\xfd7zXZ\0", b"PAR1", b"SQLite"
_TAR_AT, _TAR = 257, b"ustar"


def spellings(secret: str) -> dict[str, bytes]:
    """How a secret may be written. One that is itself hex also stands for the bytes that it spells."""
    written = {"raw": secret.encode()}
    if len(secret) % 2 == 0 and set(secret) <= set("0123456789abcdef"):
        written["bytes"] = bytes.fromhex(secret)
    found = {"address": quote(secret, safe="").encode()}
    for name, data in written.items():
        found[name] = data
        found[f"{name} in hex"] = data.hex().encode()
        found[f"{name} in upper hex"] = data.hex().upper().encode()
        for offset in range(3):
            found[f"{name} in base64 at {offset}"] = _inside_base64(data, offset)
            found[f"{name} in base64 for addresses at {offset}"] = _inside_base64(data, offset, altchars=b"-_")
    return found


def _inside_base64(data: bytes, offset: int, altchars: bytes = b"+/") -> bytes:
    """What base64 makes of ``data`` alone within a longer text, if it begins ``offset`` bytes after a triple."""
    text = base64.b64encode(b"\0" * offset + data, altchars).rstrip(b"=")
    whole = len(text) if (offset + len(data)) % 3 == 0 else len(text) - 1
    return text[(0, 2, 3)[offset] : whole]


def secrets_in_bytes(data: bytes, secrets: Mapping[str, str]) -> set[str]:
    """The names of the secrets in these bytes, or in what they are when unpacked."""
    return {
        name
        for part in unpacked(data)
        for name, secret in secrets.items()
        if any(spelling in part for spelling in spellings(secret).values())
    }


def secrets_in(folder: Path, secrets: Mapping[str, str]) -> set[tuple[str, str]]:
    """(file, name of the secret) for every secret that is found; the names of files are searched, too."""
    return {
        (str(path.relative_to(folder)), name)
        for path in folder.rglob("*")
        for data in (str(path).encode(), _content(path))
        for name in secrets_in_bytes(data, secrets)
    }


def _content(path: Path) -> bytes:
    if not path.is_file():
        return b""
    data = path.read_bytes()
    # A value may be split over pages, or still be in the journal beside the file: SQLite itself puts it together.
    return b"\0".join([data, *_cells(path)]) if data.startswith(_SQLITE) else data


def _cells(path: Path) -> Iterator[bytes]:
    connection = sqlite3.connect(path)
    try:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                for cell in row:
                    yield from unpacked(cell if isinstance(cell, bytes) else str(cell).encode())
    finally:
        connection.close()


def unpacked(data: bytes) -> Iterator[bytes]:
    """These bytes and, at any depth, what they hold when they are an archive or compressed."""
    yield data
    for part in _parts(data):
        yield from unpacked(part)


def _parts(data: bytes) -> Iterator[bytes]:
    if data.startswith(_ZSTD):
        yield zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=False).read()
    elif data.startswith(_GZIP):
        yield gzip.decompress(data)
    elif data.startswith(_XZ):
        yield lzma.decompress(data)
    elif data.startswith(_ZIP):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from map(archive.read, archive.namelist())
    elif data.startswith(_PARQUET):
        table = parquet.read_table(io.BytesIO(data))
        yield from (str(value).encode() for value in _metadata_and_columns(table))
    elif data[_TAR_AT:].startswith(_TAR):
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            files = (archive.extractfile(member) for member in archive if member.isfile())
            yield from (file.read() for file in files if file)
    elif data[:1] == b"\x78":
        try:
            yield zlib.decompress(data)
        except zlib.error:
            return  # a text that begins with 'x'


def _metadata_and_columns(table: Any) -> Iterator[object]:
    yield table.schema.metadata
    for column in table.columns:
        yield column.to_pylist()
