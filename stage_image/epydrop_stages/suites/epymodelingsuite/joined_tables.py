"""Concatenates tables of the same name: one header, and the same bytes for the same rows."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

import pyarrow as pa
import pyarrow.parquet

from epydrop.errors import EpydropError
from epydrop_stages.contract.suite import Output

_GZIP = b"\x1f\x8b"
_LEVEL = 6


def is_table(name: str) -> bool:
    """Whether a file with this name is a table that can be joined."""
    return name.endswith((".csv", ".csv.gz", ".parquet"))


class JoinedTables:
    """The tables of a run by name, each with its rows in the order in which they were added."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tables: dict[str, _Csv | _Parquet] = {}

    def add(self, name: str, data: bytes) -> None:
        """Append the rows of one result."""
        if name not in self._tables:
            path = self._folder / name
            self._tables[name] = _Parquet(path) if name.endswith(".parquet") else _Csv(path)
        self._tables[name].add(data)

    def close(self) -> list[Output]:
        """Finish the files."""
        return [table.close() for table in self._tables.values()]


class _Csv:
    """A CSV table. Results with different columns go to separate files, which are merged at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts: dict[str, tuple[Path, TextIO]] = {}

    def add(self, data: bytes) -> None:
        text = gzip.decompress(data) if data.startswith(_GZIP) else data
        # Rows are copied as text: parsing would change how numbers are written.
        header, _, rows = text.decode().partition("\n")
        if header not in self._parts:
            path = self._path.with_name(f"{len(self._parts)}.{self._path.name}")
            self._parts[header] = path, _create(path)
            self._parts[header][1].write(f"{header}\n")
        self._parts[header][1].write(rows)

    def close(self) -> Output:
        paths = []
        for path, file in self._parts.values():
            file.close()
            paths.append(path)
        if len(paths) == 1:
            paths[0].rename(self._path)
        else:
            self._merge(paths)
        return Output(self._path.name, self._path)

    def _merge(self, paths: list[Path]) -> None:
        headers = [next(csv.reader([header])) for header in self._parts]
        columns = list(dict.fromkeys(column for header in headers for column in header))
        with _create(self._path) as target:
            writer = csv.DictWriter(target, columns, lineterminator="\n")
            writer.writeheader()
            for path in paths:
                with _reading(path) as rows:
                    writer.writerows(csv.DictReader(rows))
                path.unlink()


class _Parquet:
    """A Parquet table, one row group per result; all results must have the same schema."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pyarrow.parquet.ParquetWriter | None = None

    def add(self, data: bytes) -> None:
        table = pyarrow.parquet.read_table(pa.BufferReader(data))
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._path, table.schema, compression="zstd")
        if not table.schema.equals(self._writer.schema):
            raise EpydropError(f"{self._path.name} has different columns in different results")
        self._writer.write_table(table)

    def close(self) -> Output:
        if self._writer is not None:
            self._writer.close()
        return Output(self._path.name, self._path)


def _create(path: Path) -> TextIO:
    """Open a text file for writing; ``.gz`` is compressed without time and name, so same rows give same bytes."""
    if path.suffix != ".gz":
        return path.open("w", newline="", encoding="utf-8")
    return io.TextIOWrapper(cast("Any", _Gzip(path)), newline="", encoding="utf-8")


class _Gzip(gzip.GzipFile):
    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        super().__init__(filename="", fileobj=self._file, mode="wb", compresslevel=_LEVEL, mtime=0)

    def close(self) -> None:
        super().close()
        self._file.close()


@contextmanager
def _reading(path: Path) -> Iterator[TextIO]:
    if path.suffix != ".gz":
        with path.open(newline="", encoding="utf-8") as file:
            yield file
    else:
        with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
            yield file
