"""The table ``forecasts``: what was observed, projected, in the periods of the data.

One row for each location, scenario, date and quantile; dates are the last days of the periods, from the first that was
fitted, so that fit and forecast can be seen together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from epydrop.experiment import Experiment
from epydrop_stages.inputs.observations import by_period
from epydrop_stages.outputs.pools import Pool, weighted_quantiles


def has_forecasts(experiment: Experiment) -> bool:
    """Whether there is anything for the table."""
    return experiment.data is not None and "projection" in (experiment.model or {})


def forecast_columns(experiment: Experiment) -> dict[str, str]:
    """Name and kind of its columns, after those that tell the points apart; ``horizon`` in weeks, if a hub has any."""
    scenario = {"scenario": "text"} if experiment.scenarios else {}
    horizon = {"horizon": "integer"} if experiment.outputs.hub else {}
    return {**scenario, "variable": "text", "date": "date", **horizon, "quantile": "number", "value": "number"}


def forecast_rows(pool: Pool, experiment: Experiment) -> Iterator[dict[str, Any]]:
    """The rows of one point, a block for each scenario."""
    observed, levels, hub = pool.first.observed, experiment.outputs.quantiles, experiment.outputs.hub
    if observed is None:
        return
    for part in pool.trajectories():
        if part.kind != "projection":
            continue
        dates, values = by_period(observed, part.dates, part.variables[observed.variable])
        later = dates >= observed.dates[0]
        found = weighted_quantiles(values[:, later], part.weights, levels)
        days = np.repeat(dates[later], len(levels))
        rows = {"scenario": part.scenario, "variable": observed.variable, "date": days}
        if hub:
            rows["horizon"] = (days - np.datetime64(hub.reference_date)).astype(int) // 7
        yield {**rows, "quantile": np.tile(levels, int(later.sum())), "value": found.T.ravel()}
