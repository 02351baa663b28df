"""``trajectories``: one row for each simulation and day, one column for each variable, if ``outputs.trajectories``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from epydrop.experiment import Experiment
from epydrop_stages.contract.description import Columns
from epydrop_stages.outputs.tables.table import ColumnKinds, OutputTable, PointData, Rows, chain_columns, kind_columns

_ROWS_AT_ONCE = 50_000  # a few megabytes, whatever the size of a result


def _columns(experiment: Experiment, columns: Columns) -> ColumnKinds:
    if not experiment.outputs.trajectories:
        return {}
    run = {**chain_columns(columns), **kind_columns(experiment), "sim": "integer", "date": "date"}
    return {**run, **dict.fromkeys(columns.variables, "number")}


def _rows(data: PointData) -> Iterator[Rows]:
    for line, result in data.point.chains:
        for part in result.trajectories:
            simulations, days = len(part.weights), len(part.dates)
            step = max(1, _ROWS_AT_ONCE // days)
            for first in range(0, simulations, step):
                numbers = np.arange(first, min(first + step, simulations))
                yield {
                    **data.cells,
                    "chain": line.key.chain,
                    "kind": part.kind,
                    "scenario": part.scenario,
                    "sim": np.repeat(numbers, days),
                    "date": np.tile(part.dates, len(numbers)),
                    **{name: values[first : first + step].ravel() for name, values in part.variables.items()},
                }


TABLE = OutputTable("trajectories", _columns, _rows)
