"""Tables as csv.gz and Parquet: written block by block, and the same bytes for the same rows.

Both formats are written from the same Arrow blocks, so they cannot disagree.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from epydrop_stages.suites import Output

TYPES = {"text": pa.string(), "number": pa.float64(), "integer": pa.int64(), "date": pa.date32()}

_ROWS_PER_GROUP = 100_000
_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3


class Table:
    """One table in every format asked for. ``columns`` maps each name to 'text', 'number', 'integer' or 'date'."""

    def __init__(self, folder: Path, name: str, columns: Mapping[str, str], formats: Sequence[str]) -> None:
        self._schema = pa.schema([(column, TYPES[kind]) for column, kind in columns.items()])
        self._writers = [_WRITERS[suffix](folder / f"{name}.{suffix}", self._schema) for suffix in formats]
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self._outputs: list[Output] | None = None

    def add(self, columns: Mapping[str, Any]) -> None:
        """Appends rows. A single value stands for a whole column of itself; a column left out is empty."""
        rows = max((len(value) for value in columns.values() if _is_column(value)), default=1)
        arrays = [self._array(field, columns.get(field.name), rows) for field in self._schema]
        self._waiting.append(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows += rows
        if self._rows >= _ROWS_PER_GROUP:
            self._flush()

    def close(self) -> list[Output]:
        """Ends the files; calling it twice changes nothing."""
        if self._outputs is None:
            self._flush()
            self._outputs = [writer.close() for writer in self._writers]
        return self._outputs

    def _array(self, field: Any, value: Any, rows: int) -> Any:
        if _is_column(value):
            return pa.array(value, type=field.type)
        return pa.repeat(pa.scalar(value, type=field.type), rows)

    def _flush(self) -> None:
        if not self._waiting:
            return
        block = pa.concat_tables(self._waiting).combine_chunks()
        for writer in self._writers:
            writer.write(block)
        self._waiting, self._rows = [], 0


def _is_column(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str)


class _Csv:
    """Numbers in the shortest form that reads back the same; no time and no name in the gzip header."""

    def __init__(self, path: Path, schema: Any) -> None:
        self._path = path
        self._file = path.open("wb")
        self._gzip = gzip.GzipFile(filename="", fileobj=self._file, mode="wb", compresslevel=_GZIP_LEVEL, mtime=0)
        self._writer = pyarrow.csv.CSVWriter(self._gzip, schema)

    def write(self, block: Any) -> None:
        self._writer.write(block)

    def close(self) -> Output:
        self._writer.close()
        self._gzip.close()
        self._file.close()
        return Output(self._path.name, self._path)


class _Parquet:
    """One row group a block."""

    def __init__(self, path: Path, schema: Any) -> None:
        self._path = path
        self._writer = pyarrow.parquet.ParquetWriter(
            path, schema, version="2.6", compression="zstd", compression_level=_ZSTD_LEVEL
        )

    def write(self, block: Any) -> None:
        self._writer.write_table(block, row_group_size=max(len(block), 1))

    def close(self) -> Output:
        self._writer.close()
        return Output(self._path.name, self._path)


_WRITERS: dict[str, type[_Csv | _Parquet]] = {"csv.gz": _Csv, "parquet": _Parquet}
