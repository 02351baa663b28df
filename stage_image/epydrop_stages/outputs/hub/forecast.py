"""One location's part of a hub file: its pooled projection as the hub's quantiles and trend probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from epydrop.experiment import Experiment
from epydrop_stages.contract.results import Floats, Observations, Trajectories
from epydrop_stages.inputs.observations import by_period
from epydrop_stages.inputs.us_locations import UsLocation
from epydrop_stages.outputs.hub.flusight import (
    ADMISSIONS,
    BASELINE_HORIZON,
    HORIZONS,
    LEVELS,
    TREND,
    HubRow,
    end_of,
    trend_shares,
)
from epydrop_stages.outputs.hub.places import hub_location
from epydrop_stages.outputs.pools import Pool, weighted_quantiles


@dataclass(frozen=True)
class HubForecast:
    """What one location gives to the file; ``problems`` tell what it could not give."""

    location: str
    rows: tuple[HubRow, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Weeks:
    """Admissions of the weeks that the hub asks for: horizon -> shape (runs,), and the weights of the runs."""

    admissions: Mapping[int, Floats]
    weights: Floats


def hub_forecast(pool: Pool, experiment: Experiment) -> HubForecast | None:
    """The rows of a point; None when the experiment asks for no hub file."""
    hub = experiment.outputs.hub
    if hub is None:
        return None
    place, observed = hub_location(pool.location, experiment), pool.first.observed
    projection = _projection(pool, hub.scenario or next(iter(experiment.scenarios), ""))
    if place is None or observed is None or projection is None:
        return HubForecast(pool.location, problems=(f"{pool.location} has no projection that the hub could take",))
    weeks = _weeks(projection, observed, hub.reference_date)
    absent = [horizon for horizon in HORIZONS[ADMISSIONS] if horizon not in weeks.admissions]
    rows = list(_quantile_rows(weeks, place, hub.reference_date))
    if hub.rate_trends:
        rows.extend(_trend_rows(weeks, place, hub.reference_date, observed))
    problems = [f"{pool.location} has no forecast at horizon {horizon}" for horizon in absent]
    return HubForecast(pool.location, tuple(rows), tuple(problems))


def _projection(pool: Pool, scenario: str) -> Trajectories | None:
    observed = pool.first.observed
    parts = pool.trajectories() if observed else []
    return next((part for part in parts if (part.kind, part.scenario) == ("projection", scenario)), None)


def _weeks(projection: Trajectories, observed: Observations, reference_date: date) -> _Weeks:
    dates, values = by_period(observed, projection.dates, projection.variables[observed.variable])
    columns = {day.item(): column for column, day in enumerate(dates)}
    found = {horizon: columns.get(end_of(reference_date, horizon)) for horizon in HORIZONS[ADMISSIONS]}
    admissions = {horizon: values[:, column] for horizon, column in found.items() if column is not None}
    return _Weeks(admissions, projection.weights)


def _quantile_rows(weeks: _Weeks, place: UsLocation, reference_date: date) -> Iterator[HubRow]:
    """Whole numbers, as the hub wants them; rounding keeps their order."""
    for horizon, values in weeks.admissions.items():
        quantiles = weighted_quantiles(values[:, np.newaxis], weeks.weights, LEVELS)[:, 0]
        for level, value in zip(LEVELS, np.rint(quantiles).tolist(), strict=True):
            end = end_of(reference_date, horizon)
            yield HubRow(reference_date, ADMISSIONS, horizon, end, place.fips, "quantile", format(level, "g"), value)


def _trend_rows(weeks: _Weeks, place: UsLocation, reference_date: date, observed: Observations) -> Iterator[HubRow]:
    baseline = _baseline(weeks, observed, reference_date)
    for horizon in HORIZONS[TREND]:
        if baseline is not None and horizon in weeks.admissions:
            changes = weeks.admissions[horizon] - baseline
            end = end_of(reference_date, horizon)
            for category, share in trend_shares(changes, weeks.weights, place.people, horizon).items():
                yield HubRow(reference_date, TREND, horizon, end, place.fips, "pmf", category, share)


def _baseline(weeks: _Weeks, observed: Observations, reference_date: date) -> Floats | None:
    """Admissions in the week before the reference date: shape (runs,) or (1,).

    What was reported of it, if the calibration has seen it, because the hub scores a trend against reports; else what
    each run simulated.
    """
    at = observed.fitted & (observed.dates == np.datetime64(end_of(reference_date, BASELINE_HORIZON)))
    return observed.values[at] if at.any() else weeks.admissions.get(BASELINE_HORIZON)
