"""``forecasts``: quantiles of the observed variable as projected, in the periods of the data.

One row for each location, scenario, date and level. Dates are the last days of periods, from the first observation on,
so that the fit and the forecast can be plotted together.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from epydrop.experiment import Experiment
from epydrop_stages.contract.description import Columns
from epydrop_stages.inputs.observations import by_period
from epydrop_stages.outputs.tables.table import ColumnKinds, OutputTable, PointData, Rows, point_columns
from epydrop_stages.outputs.weighted import weighted_quantiles


def _columns(experiment: Experiment, columns: Columns) -> ColumnKinds:
    """Only with data and a projection. ``horizon``, in weeks, only with a hub, which defines where it starts."""
    if experiment.data is None or "projection" not in (experiment.model or {}):
        return {}
    scenario = {"scenario": "text"} if experiment.scenarios else {}
    horizon = {"horizon": "integer"} if experiment.outputs.hub else {}
    value = {"variable": "text", "date": "date", **horizon, "quantile": "number", "value": "number"}
    return {**point_columns(columns), **scenario, **value}


def _rows(data: PointData) -> Iterator[Rows]:
    outputs, observed = data.experiment.outputs, data.point.first.observed
    if observed is None:
        return
    for part in data.parts:
        if part.kind != "projection":
            continue
        dates, values = by_period(observed, part.dates, part.variables[observed.variable])
        shown = dates >= observed.dates[0]
        quantiles = weighted_quantiles(values[:, shown], part.weights, outputs.quantiles)
        days = np.repeat(dates[shown], len(outputs.quantiles))
        rows = {**data.cells, "scenario": part.scenario, "variable": observed.variable, "date": days}
        if outputs.hub:
            # Whole weeks, rounded down: dates before the reference date get negative horizons.
            rows["horizon"] = (days - np.datetime64(outputs.hub.reference_date)).astype(int) // 7
        levels = np.tile(outputs.quantiles, int(shown.sum()))
        yield {**rows, "quantile": levels, "value": quantiles.T.ravel()}


TABLE = OutputTable("forecasts", _columns, _rows)
