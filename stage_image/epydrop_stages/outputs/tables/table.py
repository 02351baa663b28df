"""What one output table is: its columns, which follow from the experiment, and the rows of one point."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from epydrop.experiment import Experiment
from epydrop_stages.contract.description import Columns
from epydrop_stages.contract.results import Floats, Trajectories
from epydrop_stages.outputs.pooled_point import PooledPoint
from epydrop_stages.outputs.quality.findings import Finding
from epydrop_stages.outputs.weighted import weighted_quantiles

ColumnKinds = dict[str, str]
"""Column -> 'text', 'number', 'integer' or 'date', in the order of the table."""

Rows = dict[str, Any]
"""Column -> an array with a value for each row, or a single value that all the rows share."""


@dataclass(frozen=True)
class PointData:
    """What the rows of a point are made from.

    ``cells``: the columns that identify the point; ``parts``: its trajectories, chains pooled.
    """

    experiment: Experiment
    point: PooledPoint
    cells: Rows
    parts: Sequence[Trajectories]

    @cached_property
    def quantiles(self) -> list[tuple[Trajectories, str, Floats]]:
        """Part, variable and quantiles of shape (levels, days), at the levels of ``outputs.quantiles``."""
        levels = self.experiment.outputs.quantiles
        return [
            (part, variable, weighted_quantiles(part.variables[variable], part.weights, levels))
            for part in self.parts
            for variable in part.variables
        ]


def _no_findings(_: PointData) -> Iterator[Finding]:
    return iter(())


@dataclass(frozen=True)
class OutputTable:
    """One table, published as ``<name>.csv.gz`` and ``<name>.parquet``.

    ``columns``: none if the experiment does not get the table. ``rows``: those of a point, a few megabytes at a time;
    None if the output stage writes the rows itself. ``check``: what is wrong with these rows.
    """

    name: str
    columns: Callable[[Experiment, Columns], ColumnKinds]
    rows: Callable[[PointData], Iterator[Rows]] | None
    check: Callable[[PointData], Iterator[Finding]] = _no_findings


def point_columns(columns: Columns) -> ColumnKinds:
    """The columns that identify a point."""
    return {"location": "text", **columns.parameters}


def chain_columns(columns: Columns) -> ColumnKinds:
    """The columns that identify a task: those of its point, and the chain."""
    return {**point_columns(columns), "chain": "integer"}


def kind_columns(experiment: Experiment) -> ColumnKinds:
    """The columns that identify a set of simulations of a point. Without scenarios theirs would always be empty."""
    return {"kind": "text", **({"scenario": "text"} if experiment.scenarios else {})}


def point_cells(location: str, parameters: Mapping[str, Any], columns: Columns) -> Rows:
    """The values of ``point_columns``; parameters that are not numbers are written as JSON."""
    # float() so that 1 and 1.0 in a grid are the same cell; JSON because a value may be a text, a boolean or a list.
    values = {
        path: float(value)
        if columns.parameters.get(path) == "number"
        else json.dumps(value, ensure_ascii=False, sort_keys=True)
        for path, value in parameters.items()
    }
    return {"location": location, **values}
