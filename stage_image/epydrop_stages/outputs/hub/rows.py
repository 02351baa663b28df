"""The rows of a hub file in the hubverse model-output format, and the rules that the hub checks them by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from epydrop.experiment.hub_formats import HubFormat
from epydrop_stages.inputs.us_locations import us_location

_SATURDAY = 5
_SUM_TOLERANCE = 1e-6  # the hub's own, for probabilities


@dataclass(frozen=True)
class HubRow:
    """One row of the file. Names and order of the fields are those of the hub's columns."""

    reference_date: date
    target: str
    horizon: int
    target_end_date: date
    location: str
    output_type: str
    output_type_id: str
    value: float

    @property
    def distribution(self) -> str:
        """Location, target and horizon in words; the rows of one distribution share it."""
        return f"location {self.location}, {self.target}, horizon {self.horizon}"


def end_of_week(reference_date: date, horizon: int) -> date:
    """The Saturday that ends the week ``horizon`` weeks after the week of the reference date."""
    return reference_date + timedelta(weeks=horizon)


def problems_of_rows(rows: Iterable[HubRow], hub: HubFormat) -> list[str]:
    """Each reason for which the hub would reject these rows; empty if it would accept them.

    Locations and horizons are optional for the hub. Within one distribution every quantile or category is required.
    """
    distributions: dict[str, list[HubRow]] = {}
    dates: dict[date, None] = {}
    for row in rows:
        distributions.setdefault(row.distribution, []).append(row)
        dates[row.reference_date] = None
    if not distributions:
        return ["no location has a forecast that the hub would accept, so there is no file"]
    problems = []
    if len(dates) > 1:
        problems.append(f"a file must have one reference date, this one has {', '.join(map(str, dates))}")
    problems += [f"the reference date {day} is not a Saturday" for day in dates if day.weekday() != _SATURDAY]
    for name, same in distributions.items():
        problems.extend(f"{name}: {problem}" for problem in _problems_of_distribution(same, hub))
    return problems


def quantile_id(level: float) -> str:
    """The id of a quantile in the file, such as 0.025 or 0.5."""
    return format(level, "g")


def _problems_of_distribution(rows: Sequence[HubRow], hub: HubFormat) -> Iterator[str]:
    first, trends = rows[0], hub.trends
    is_trend = trends is not None and first.target == trends.target
    if not is_trend and first.target != hub.target:
        yield "unsupported target"
        return
    place = us_location(first.location)
    if place is None or place.fips != first.location:  # us_location also knows names and other codes
        yield "this is not a FIPS code that the hub knows"
    if first.horizon not in (trends.horizons if is_trend and trends else hub.horizons):
        yield "the hub does not ask for this horizon of the target"
    if any(row.target_end_date != end_of_week(row.reference_date, row.horizon) for row in rows):
        yield "target_end_date must be the reference date plus as many weeks as the horizon"
    kind, ids = ("pmf", trends.categories) if is_trend and trends else ("quantile", tuple(map(quantile_id, hub.levels)))
    values = [row.value for row in rows]
    if any(row.output_type != kind for row in rows) or sorted(row.output_type_id for row in rows) != sorted(ids):
        yield f"expected one {kind} for each of {', '.join(ids)}"
    else:
        # The hub accepts rows in any order, and quantiles are compared with their neighbours below.
        values = [row.value for row in sorted(rows, key=lambda row: ids.index(row.output_type_id))]
    if not np.isfinite(values).all() or min(values) < 0:
        yield "every value must be finite and at least 0"
    elif is_trend:
        yield from _problems_of_probabilities(values)
    else:
        yield from _problems_of_quantiles(values, hub.quantity, place.people if place else None)


def _problems_of_quantiles(values: Sequence[float], quantity: str, people: int | None) -> Iterator[str]:
    """``values`` by ascending level; ``people`` is the population of the location, None if it is unknown."""
    if any(value != round(value) for value in values):
        yield f"quantiles of {quantity} must be whole numbers"
    if any(high < low for low, high in pairwise(values)):
        yield "quantiles must not decrease from one level to the next"
    if people is not None and max(values) >= people:
        yield f"{max(values):.0f} {quantity} are not fewer than the population, {people}"


def _problems_of_probabilities(values: Sequence[float]) -> Iterator[str]:
    if abs(sum(values) - 1) > _SUM_TOLERANCE:
        yield f"probabilities must add up to 1, not to {sum(values):.9g}"
