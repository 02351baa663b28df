"""``quantiles``: one row for each point, kind, scenario, day, variable and level, over all chains and simulations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from epydrop.experiment import Experiment
from epydrop_stages.contract.description import Columns
from epydrop_stages.outputs.quality.findings import Finding, Severity
from epydrop_stages.outputs.quality.trajectory_checks import crossing_quantiles
from epydrop_stages.outputs.tables.table import ColumnKinds, OutputTable, PointData, Rows, kind_columns, point_columns


def _columns(experiment: Experiment, columns: Columns) -> ColumnKinds:
    value = {"date": "date", "variable": "text", "quantile": "number", "value": "number"}
    return {**point_columns(columns), **kind_columns(experiment), **value}


def _rows(data: PointData) -> Iterator[Rows]:
    levels = data.experiment.outputs.quantiles
    for part, variable, quantiles in data.quantiles:
        yield {
            **data.cells,
            "kind": part.kind,
            "scenario": part.scenario,
            "date": np.repeat(part.dates, len(levels)),
            "variable": variable,
            # All levels of a day, then the next day: transposed, because quantiles have the shape (levels, days).
            "quantile": np.tile(levels, len(part.dates)),
            "value": quantiles.T.ravel(),
        }


def _check(data: PointData) -> Iterator[Finding]:
    findings = [
        finding
        for part, variable, quantiles in data.quantiles
        if (finding := crossing_quantiles(data.point, part, variable, quantiles))
    ]
    yield from findings or [Finding("quantiles", Severity.PASS, "they ascend", data.point.location)]


TABLE = OutputTable("quantiles", _columns, _rows, _check)
