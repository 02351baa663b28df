"""The rows that results become; a few megabytes at a time, whatever the size of a result."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from epydrop_stages.contract.description import Columns
from epydrop_stages.contract.results import Floats, Posterior, Result, Trajectories
from epydrop_stages.contract.suite import TaskLine
from epydrop_stages.outputs.pools import Pool, effective_sample_size

Row = dict[str, Any]

_ROWS_AT_ONCE = 50_000


def point_cells(location: str, parameters: Mapping[str, Any], columns: Columns) -> Row:
    """What tells a point from the others; values that are not numbers are written as JSON."""
    values = {
        path: float(value)
        if columns.parameters.get(path) == "number"
        else json.dumps(value, ensure_ascii=False, sort_keys=True)
        for path, value in parameters.items()
    }
    return {"location": location, **values}


def quantile_rows(point: Row, part: Trajectories, variable: str, levels: Sequence[float], found: Floats) -> Row:
    """One row for each day and level; ``found`` has the shape (levels, days)."""
    return {
        **point,
        "kind": part.kind,
        "scenario": part.scenario,
        "date": np.repeat(part.dates, len(levels)),
        "variable": variable,
        "quantile": np.tile(levels, len(part.dates)),
        "value": found.T.ravel(),
    }


def trajectory_rows(point: Row, pool: Pool) -> Iterator[Row]:
    """One row for each simulation and day, one column for each variable."""
    for line, result in pool.chains:
        for part in result.trajectories:
            runs, days = len(part.weights), len(part.dates)
            step = max(1, _ROWS_AT_ONCE // days)
            for first in range(0, runs, step):
                sims = np.arange(first, min(first + step, runs))
                yield {
                    **point,
                    "chain": line.key.chain,
                    "kind": part.kind,
                    "scenario": part.scenario,
                    "sim": np.repeat(sims, days),
                    "date": np.tile(part.dates, len(sims)),
                    **{name: values[first : first + step].ravel() for name, values in part.variables.items()},
                }


def posterior_rows(point: Row, pool: Pool) -> Iterator[Row]:
    """One row for each particle of each chain."""
    for line, result in pool.chains:
        if posterior := result.posterior:
            yield {
                **point,
                "chain": line.key.chain,
                "particle": np.arange(len(posterior.weights)),
                "weight": posterior.weights,
                "distance": posterior.distances,
                **posterior.values,
            }


def metadata_row(line: TaskLine, point: Row, result: Result | None) -> Row:
    """What one task computed; nothing of when or how fast, so that the table stays the same."""
    row = {"index": line.index, **point, "chain": line.key.chain, "seed": line.seed, "key": line.key.digest()}
    if result is None:
        return {**row, "state": "missing"}
    row |= {
        "state": "succeeded",
        "population": result.population,
        "simulations": sum(len(part.weights) for part in result.trajectories),
    }
    return row | _of_posterior(result.posterior) if result.posterior else row


def _of_posterior(posterior: Posterior) -> Row:
    return {
        "particles": len(posterior.weights),
        "effective_sample_size": effective_sample_size(posterior.weights),
        "largest_distance": float(posterior.distances.max()),
    }


def as_columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Rows of single values as columns; what a row leaves out is empty."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
