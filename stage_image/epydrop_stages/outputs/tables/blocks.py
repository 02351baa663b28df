"""The rows of one point for one table, written to disk as they are made, by the worker that read the results."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc

# Arrow's default pool keeps what it has freed: that cost a sixth of the output stage's memory and saved no time.
pa.set_memory_pool(pa.system_memory_pool())

TYPES = {"text": pa.string(), "number": pa.float64(), "integer": pa.int64(), "date": pa.date32()}

_GZIP_LEVEL = 6


@dataclass(frozen=True)
class Layout:
    """One table. ``columns`` maps each name to 'text', 'number', 'integer' or 'date'; ``formats`` are file suffixes."""

    name: str
    columns: Mapping[str, str]
    formats: Sequence[str]

    @property
    def schema(self) -> Any:
        """The columns as a ``pyarrow.Schema``."""
        return pa.schema([(column, TYPES[kind]) for column, kind in self.columns.items()])


@dataclass(frozen=True)
class Block:
    """Rows on disk, one file for each format."""

    files: Mapping[str, Path]

    def remove(self) -> None:
        """Deletes the files."""
        for path in self.files.values():
            path.unlink()


class BlockWriter:
    """Writes rows as they come and keeps none of them. ``stem`` tells this block from the others of its table."""

    def __init__(self, folder: Path, layout: Layout, stem: str) -> None:
        self._schema = layout.schema
        self._files = {suffix: folder / f"{layout.name}.{stem}.{suffix}.block" for suffix in layout.formats}
        self._writers = [_WRITERS[suffix](path, self._schema) for suffix, path in self._files.items()]

    def add(self, columns: Mapping[str, Any]) -> None:
        """Appends rows, given as columns.

        A single value fills its whole column, a missing column is null, and a column that the table lacks is ignored.
        """
        # The length of any column; a row of single values alone is one row.
        rows = max((len(value) for value in columns.values() if _is_column(value)), default=1)
        arrays = [_array(field, columns.get(field.name), rows) for field in self._schema]
        batch = pa.record_batch(arrays, schema=self._schema)
        for writer in self._writers:
            writer.write(batch)

    def close(self) -> Block:
        """Ends the files."""
        for writer in self._writers:
            writer.close()
        return Block(self._files)


def as_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows of single values as columns; a value that a row lacks is None."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def header(layout: Layout) -> bytes:
    """The line of column names as one gzip member."""
    text = pa.BufferOutputStream()
    with pyarrow.csv.CSVWriter(text, layout.schema):  # the same writer as the rows, so that quoting agrees
        pass
    return gzip.compress(text.getvalue().to_pybytes(), _GZIP_LEVEL, mtime=0)


def batches(path: Path) -> Iterator[Any]:
    """The rows of an Arrow block, batch by batch."""
    with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as stream:
        yield from stream


def _array(field: Any, value: Any, rows: int) -> Any:
    if _is_column(value):
        return pa.array(value, type=field.type)
    return pa.repeat(pa.scalar(value, type=field.type), rows)


def _is_column(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str)


class _CsvBlock:
    """CSV in one gzip member. Numbers have the shortest form that reads back unchanged.

    The gzip header carries no time and no file name, so that equal rows are equal bytes.
    """

    def __init__(self, path: Path, schema: Any) -> None:
        self._file: BinaryIO = path.open("wb")
        self._gzip = gzip.GzipFile(filename="", fileobj=self._file, mode="wb", compresslevel=_GZIP_LEVEL, mtime=0)
        # Without a header: blocks are concatenated, and the file begins with ``header``.
        self._writer = pyarrow.csv.CSVWriter(
            self._gzip, schema, write_options=pyarrow.csv.WriteOptions(include_header=False)
        )

    def write(self, batch: Any) -> None:
        self._writer.write(batch)

    def close(self) -> None:
        self._writer.close()
        self._gzip.close()
        self._file.close()


class _ArrowBlock:
    """An Arrow stream, for Parquet. Fast rather than small compression: it exists for seconds."""

    def __init__(self, path: Path, schema: Any) -> None:
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_stream(self._file, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))

    def write(self, batch: Any) -> None:
        self._writer.write_batch(batch)

    def close(self) -> None:
        self._writer.close()
        self._file.close()


_WRITERS: dict[str, type[_CsvBlock | _ArrowBlock]] = {"csv.gz": _CsvBlock, "parquet": _ArrowBlock}
