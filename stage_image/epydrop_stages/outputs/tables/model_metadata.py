"""``model_metadata``: one row for each task, including those without a result.

The output stage writes it, not the workers: a task without a result has no point whose worker could write its row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from epydrop.experiment import Experiment
from epydrop_stages.contract.description import Columns
from epydrop_stages.contract.results import Posterior, Result
from epydrop_stages.contract.suite import TaskLine
from epydrop_stages.outputs.tables.blocks import as_columns
from epydrop_stages.outputs.tables.table import ColumnKinds, OutputTable, Rows, chain_columns, point_cells
from epydrop_stages.outputs.tables.table_files import TableFiles
from epydrop_stages.outputs.weighted import effective_sample_size

_ROWS_AT_ONCE = 1000  # part of the format: each batch is one gzip member of the csv.gz


def _columns(_: Experiment, columns: Columns) -> ColumnKinds:
    return {
        "index": "integer",
        **chain_columns(columns),
        "seed": "integer",
        "key": "text",
        "state": "text",
        "population": "number",
        "simulations": "integer",
        "particles": "integer",
        "effective_sample_size": "number",
        "largest_distance": "number",
    }


TABLE = OutputTable("model_metadata", _columns, rows=None)


def task_row(line: TaskLine, cells: Rows, result: Result | None) -> Rows:
    """The row of one task. It holds no times, so that the table is the same in every run of the experiment."""
    row = {"index": line.index, **cells, "chain": line.key.chain, "seed": line.seed, "key": line.key.digest()}
    if result is None:
        return {**row, "state": "missing"}
    row |= {
        "state": "succeeded",
        "population": result.population,
        "simulations": sum(len(part.weights) for part in result.trajectories),
    }
    return row | _posterior_cells(result.posterior) if result.posterior else row


def _posterior_cells(posterior: Posterior) -> Rows:
    return {
        "particles": len(posterior.weights),
        "effective_sample_size": effective_sample_size(posterior.weights),
        "largest_distance": float(posterior.distances.max()),
    }


class TaskRows:
    """Writes the rows of the tasks in the order of their indices, those without a result in their places.

    ``missing``: the tasks without a result, by ascending index.
    """

    def __init__(self, files: TableFiles, missing: Sequence[TaskLine], columns: Columns) -> None:
        self._files = files
        self._missing = list(missing)[::-1]  # reversed, so that the next one is at the end
        self._columns = columns
        self._rows: list[Rows] = []

    def add(self, rows: Mapping[int, Rows]) -> None:
        """Adds the rows of one point: task index -> row, ascending."""
        for index, row in rows.items():
            self._add_missing(before=index)
            self._append(row)

    def close(self) -> None:
        """Adds the remaining tasks without a result, and writes what is still in memory."""
        self._add_missing(before=None)
        self._flush()

    def _add_missing(self, before: int | None) -> None:
        while self._missing and (before is None or self._missing[-1].index < before):
            line = self._missing.pop()
            self._append(task_row(line, point_cells(line.key.location, line.key.parameters, self._columns), None))

    def _append(self, row: Rows) -> None:
        self._rows.append(row)
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._files.add(as_columns(self._rows))
            self._rows = []
