"""One location's part of a hub file: the pooled projection as the hub's quantiles and trend probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from epydrop.experiment import Experiment
from epydrop.experiment.hub_formats import HUB_FORMATS, HubFormat, TrendTarget
from epydrop_stages.contract.results import Floats, Observations, Trajectories
from epydrop_stages.inputs.observations import by_period
from epydrop_stages.inputs.us_locations import UsLocation
from epydrop_stages.outputs.hub.locations import hub_location
from epydrop_stages.outputs.hub.rows import HubRow, end_of_week, quantile_id
from epydrop_stages.outputs.pooled_point import PooledPoint
from epydrop_stages.outputs.weighted import weighted_quantiles

_DIGITS = 10  # of a probability; further digits are rounding noise of the sum over simulations


@dataclass(frozen=True)
class LocationForecast:
    """The rows of one location. ``problems`` says which of the hub's horizons are missing, or why there are no rows."""

    location: str
    rows: tuple[HubRow, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Weeks:
    """The projected weeks. ``counts``: horizon -> shape (simulations,); ``weights`` of shape (simulations,), sum 1."""

    counts: Mapping[int, Floats]
    weights: Floats


def location_forecast(point: PooledPoint, experiment: Experiment) -> LocationForecast | None:
    """The hub rows of a point; None when the experiment asks for no hub file."""
    hub = experiment.outputs.hub
    if hub is None:
        return None
    place, observed = hub_location(point.location, experiment), point.first.observed
    projection = _projection(point, hub.scenario or next(iter(experiment.scenarios), ""))
    # The builder checks places and data, but not for a hub file that only a rerun of the output asks for.
    if place is None or observed is None or projection is None:
        problem = f"{point.location} has no projection that the hub would accept"
        return LocationForecast(point.location, problems=(problem,))
    kind = HUB_FORMATS[hub.format]
    weeks = _weeks(projection, observed, hub.reference_date, kind)
    rows = list(_quantile_rows(weeks, place, hub.reference_date, kind))
    if hub.rate_trends and kind.trends:
        rows.extend(_trend_rows(weeks, place, hub.reference_date, observed, kind.trends))
    missing = [horizon for horizon in kind.horizons if horizon not in weeks.counts]
    problems = [f"{point.location} has no forecast at horizon {horizon}" for horizon in missing]
    return LocationForecast(point.location, tuple(rows), tuple(problems))


def _projection(point: PooledPoint, scenario: str) -> Trajectories | None:
    observed = point.first.observed
    parts = point.trajectories() if observed else []
    return next((part for part in parts if (part.kind, part.scenario) == ("projection", scenario)), None)


def _weeks(projection: Trajectories, observed: Observations, reference_date: date, hub: HubFormat) -> _Weeks:
    # In step with the data, whose weeks are the hub's: the builder has checked that.
    dates, values = by_period(observed, projection.dates, projection.variables[observed.variable])
    columns = {day.item(): column for column, day in enumerate(dates)}
    found = {horizon: columns.get(end_of_week(reference_date, horizon)) for horizon in hub.horizons}
    counts = {horizon: values[:, column] for horizon, column in found.items() if column is not None}
    return _Weeks(counts, projection.weights)


def _quantile_rows(weeks: _Weeks, place: UsLocation, reference_date: date, hub: HubFormat) -> Iterator[HubRow]:
    """Whole numbers, as the hub requires; rounding keeps their order."""
    for horizon, values in weeks.counts.items():
        quantiles = weighted_quantiles(values[:, np.newaxis], weeks.weights, hub.levels)[:, 0]
        end = end_of_week(reference_date, horizon)
        for level, value in zip(hub.levels, np.rint(quantiles).tolist(), strict=True):
            yield HubRow(reference_date, hub.target, horizon, end, place.fips, "quantile", quantile_id(level), value)


def _trend_rows(
    weeks: _Weeks, place: UsLocation, reference_date: date, observed: Observations, trends: TrendTarget
) -> Iterator[HubRow]:
    baseline = _baseline(weeks, observed, end_of_week(reference_date, trends.baseline_horizon), trends)
    for horizon in trends.horizons:
        if baseline is not None and horizon in weeks.counts:
            changes = weeks.counts[horizon] - baseline
            end = end_of_week(reference_date, horizon)
            for category, share in trend_shares(changes, weeks.weights, place.people, horizon, trends).items():
                yield HubRow(reference_date, trends.target, horizon, end, place.fips, "pmf", category, share)


def _baseline(weeks: _Weeks, observed: Observations, end: date, trends: TrendTarget) -> Floats | None:
    """The count of the baseline week, which ends on ``end``: shape (1,) if observed, (simulations,) if simulated.

    The observation is used if the calibration saw it, because the hub scores trends against reported counts.
    Otherwise each simulation is compared with its own baseline; None if that week was not simulated either.
    """
    at = observed.fitted & (observed.dates == np.datetime64(end))
    return observed.values[at] if at.any() else weeks.counts.get(trends.baseline_horizon)


def trend_shares(changes: Floats, weights: Floats, people: int, horizon: int, trends: TrendTarget) -> dict[str, float]:
    """The probability of each category of change; sum 1 up to rounding.

    ``changes`` (simulations,): counts a week minus the baseline; ``people``: the population of the location.
    """
    rates = np.abs(changes) / people * 100_000
    stable = (rates < trends.stable_below[horizon]) | (np.abs(changes) < trends.fewest)
    size = np.where(stable, 0, np.where(rates < trends.large_from[horizon], 1, 2))
    category = np.where(changes < 0, -size, size) + 2  # 0 to 4, the position among the categories
    shares = np.bincount(category, weights=weights, minlength=len(trends.categories))
    return dict(zip(trends.categories, (shares / shares.sum()).round(_DIGITS).tolist(), strict=True))
