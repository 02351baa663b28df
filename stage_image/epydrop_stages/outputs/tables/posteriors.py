"""``posteriors``: one row for each accepted particle of each chain, if ``outputs.posteriors``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from epydrop.experiment import Experiment
from epydrop_stages.contract.description import Columns
from epydrop_stages.outputs.tables.table import ColumnKinds, OutputTable, PointData, Rows, chain_columns


def _columns(experiment: Experiment, columns: Columns) -> ColumnKinds:
    if not (experiment.outputs.posteriors and columns.priors):
        return {}
    particle = {"particle": "integer", "weight": "number", "distance": "number"}
    return {**chain_columns(columns), **particle, **dict.fromkeys(columns.priors, "number")}


def _rows(data: PointData) -> Iterator[Rows]:
    for line, result in data.point.chains:
        if posterior := result.posterior:
            yield {
                **data.cells,
                "chain": line.key.chain,
                "particle": np.arange(len(posterior.weights)),
                "weight": posterior.weights,
                "distance": posterior.distances,
                **posterior.values,
            }


TABLE = OutputTable("posteriors", _columns, _rows)
