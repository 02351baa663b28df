"""The files of a table: blocks concatenated in the order in which they are appended."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from epydrop_stages.contract.suite import Output
from epydrop_stages.outputs.tables.blocks import Block, BlockWriter, Layout, batches, header

_ROWS_PER_GROUP = 50_000  # changes the bytes of the files, as does the level of compression
_ZSTD_LEVEL = 3


class TableFiles:
    """One table in every format of its layout, written into ``folder``."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self._folder = folder
        self._layout = layout
        self._blocks = 0
        self._files = {suffix: _FILES[suffix](folder / f"{layout.name}.{suffix}", layout) for suffix in layout.formats}

    def append(self, block: Block) -> None:
        """Appends the rows of a block and deletes it."""
        for suffix, path in block.files.items():
            self._files[suffix].append(path)
        block.remove()

    def add(self, columns: Mapping[str, Any]) -> None:
        """Appends rows that no worker made, as a block of their own."""
        writer = BlockWriter(self._folder, self._layout, f"own-{self._blocks}")
        self._blocks += 1
        writer.add(columns)
        self.append(writer.close())

    def close(self) -> list[Output]:
        """Ends the files. Idempotent."""
        return [file.close() for file in self._files.values()]


class _CsvFile:
    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path
        self._file = path.open("wb")
        self._file.write(header(layout))

    def append(self, block: Path) -> None:
        with block.open("rb") as source:
            shutil.copyfileobj(source, self._file, 1 << 20)

    def close(self) -> Output:
        self._file.close()
        return Output(self._path.name, self._path)


class _ParquetFile:
    """Row groups of about 50,000 rows: a group for each block would be slow to read where points are small."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path
        self._schema = layout.schema
        self._waiting: list[Any] = []
        self._rows = 0
        # The version is given so that another default of pyarrow does not change the bytes.
        self._writer = pyarrow.parquet.ParquetWriter(
            path, self._schema, version="2.6", compression="zstd", compression_level=_ZSTD_LEVEL
        )

    def append(self, block: Path) -> None:
        for batch in batches(block):
            self._waiting.append(batch)
            self._rows += len(batch)
            if self._rows >= _ROWS_PER_GROUP:
                self._flush()

    def close(self) -> Output:
        if self._writer.is_open:  # close() is idempotent
            self._flush()
            self._writer.close()
        return Output(self._path.name, self._path)

    def _flush(self) -> None:
        # One chunk for each column: otherwise the pages would depend on the batches of the workers.
        group = pa.Table.from_batches(self._waiting, schema=self._schema).combine_chunks()
        if len(group):
            self._writer.write_table(group, row_group_size=len(group))
        self._waiting, self._rows = [], 0


_FILES: dict[str, type[_CsvFile | _ParquetFile]] = {"csv.gz": _CsvFile, "parquet": _ParquetFile}
