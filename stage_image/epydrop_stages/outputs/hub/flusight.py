"""The rules of the FluSight hub for 2025-26, and whether rows keep them.

Source: github.com/cdcepi/FluSight-forecast-hub, hub-config/tasks.json, hub-config/validations.yml and
model-output/README.md with its appendix on rate trends, as of commit 92469693 (2026). Of its five targets these are
the two that we write. Every location and horizon is optional there; within one of them all quantiles are required.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from epydrop.experiment.hub_formats import HUB_FORMATS
from epydrop_stages.contract.results import Floats
from epydrop_stages.inputs.us_locations import us_location

ADMISSIONS = "wk inc flu hosp"
TREND = "wk flu hosp rate change"

LEVELS = (0.01, 0.025, *(percent / 100 for percent in range(5, 100, 5)), 0.975, 0.99)
CATEGORIES = ("large_decrease", "decrease", "stable", "increase", "large_increase")
LAST_HORIZON = HUB_FORMATS["flusight"].last_horizon
HORIZONS = {ADMISSIONS: range(-1, LAST_HORIZON + 1), TREND: range(LAST_HORIZON + 1)}

BASELINE_HORIZON = -1  # a trend is the change since the week before the reference date
_STABLE_BELOW = {0: 0.3, 1: 0.5, 2: 0.7, 3: 1.0}  # per 100 000 people, by horizon
_LARGE_FROM = {0: 1.7, 1: 3.0, 2: 4.0, 3: 5.0}
_FEWEST = 10  # admissions; a smaller change is stable whatever the rate
_DIGITS = 10  # of a probability; more would be noise of the sum over runs
_SUM_TOLERANCE = 1e-6
_SATURDAY = 5

_TYPES = {
    ADMISSIONS: ("quantile", tuple(format(level, "g") for level in LEVELS)),
    TREND: ("pmf", CATEGORIES),
}


@dataclass(frozen=True)
class HubRow:
    """One row of the file, its fields named and ordered as the hub's columns."""

    reference_date: date
    target: str
    horizon: int
    target_end_date: date
    location: str
    output_type: str
    output_type_id: str
    value: float

    @property
    def task(self) -> str:
        """What the row is about, in words; rows of one distribution have it in common."""
        return f"location {self.location}, {self.target}, horizon {self.horizon}"


def end_of(reference_date: date, horizon: int) -> date:
    """The Saturday that ends the week at that horizon."""
    return reference_date + timedelta(weeks=horizon)


def trend_shares(changes: Floats, weights: Floats, people: int, horizon: int) -> dict[str, float]:
    """The probability of each category, from changes (runs,) in admissions a week since the baseline.

    A change is stable if it is below 10 admissions or below the horizon's threshold in admissions per 100 000, and
    large from the second threshold on (appendix 1 of the hub's README).
    """
    rates = np.abs(changes) / people * 100_000
    stable = (rates < _STABLE_BELOW[horizon]) | (np.abs(changes) < _FEWEST)
    size = np.where(stable, 0, np.where(rates < _LARGE_FROM[horizon], 1, 2))
    category = np.where(changes < 0, -size, size) + 2
    shares = np.bincount(category, weights=weights, minlength=len(CATEGORIES))
    return dict(zip(CATEGORIES, (shares / shares.sum()).round(_DIGITS).tolist(), strict=True))


# -- whether rows keep the rules ---------------------------------------------------------------


def validate(rows: Iterable[HubRow]) -> list[str]:
    """What the hub would refuse in these rows, in words; nothing when it would take them."""
    tasks: dict[str, list[HubRow]] = {}
    dates: dict[date, None] = {}
    for row in rows:
        tasks.setdefault(row.task, []).append(row)
        dates[row.reference_date] = None
    problems = [f"a file has one reference date, and these are {', '.join(map(str, dates))}"] if len(dates) > 1 else []
    problems += [f"the reference date {day} is no Saturday" for day in dates if day.weekday() != _SATURDAY]
    for task, same in tasks.items():
        problems.extend(f"{task}: {problem}" for problem in _task_problems(same))
    return problems or ([] if tasks else ["no location has a forecast that the hub could take, so there is no file"])


def _task_problems(rows: Sequence[HubRow]) -> Iterator[str]:
    """Of the rows of one distribution."""
    first = rows[0]
    place = us_location(first.location)
    if first.target not in _TYPES:
        yield "this target is none that we write"
        return
    if place is None or place.fips != first.location:
        yield "this is no FIPS code of the hub"
    if first.horizon not in HORIZONS[first.target]:
        yield "this horizon is none of the target"
    if any(row.target_end_date != end_of(row.reference_date, row.horizon) for row in rows):
        yield "target_end_date is not reference_date and as many weeks as the horizon says"
    kind, ids = _TYPES[first.target]
    values = [row.value for row in rows]
    if any(row.output_type != kind for row in rows) or sorted(row.output_type_id for row in rows) != sorted(ids):
        yield f"expected one {kind} for each of {', '.join(ids)}"
    else:
        values = [row.value for row in sorted(rows, key=lambda row: ids.index(row.output_type_id))]
    if not np.isfinite(values).all() or min(values) < 0:
        yield "every value must be finite and at least 0"
        return
    yield from _VALUE_RULES[first.target](values, place.people if place else None)


def _quantile_problems(values: Sequence[float], people: int | None) -> Iterator[str]:
    if any(value != round(value) for value in values):
        yield "quantiles of admissions must be whole numbers"
    if any(high < low for low, high in pairwise(values)):
        yield "quantiles must not fall from one level to the next"
    if people is not None and max(values) >= people:
        yield f"{max(values):.0f} admissions are as many as there are people, {people}"


def _pmf_problems(values: Sequence[float], _people: int | None) -> Iterator[str]:
    if abs(sum(values) - 1) > _SUM_TOLERANCE:
        yield f"probabilities must add up to 1, not to {sum(values):.9g}"


_VALUE_RULES: dict[str, Callable[[Sequence[float], int | None], Iterator[str]]] = {
    ADMISSIONS: _quantile_problems,
    TREND: _pmf_problems,
}
