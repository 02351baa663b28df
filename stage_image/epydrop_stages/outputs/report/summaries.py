"""What the report keeps of each point after its trajectories are gone: a few numbers and the names of its pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from epydrop_stages.contract.description import Description
from epydrop_stages.contract.results import Floats, Trajectories
from epydrop_stages.outputs.pools import Pool, sum_of
from epydrop_stages.outputs.report.curves import Fan, main_parts
from epydrop_stages.outputs.report.intervals import Interval, interval
from epydrop_stages.outputs.report.marginals import Estimate
from epydrop_stages.outputs.report.pictures import Picture

_NEXT = 4  # dates of a forecast that its summary tells
_MEDIAN, _LOW, _HIGH = 3, 0, 6  # rows of a fan's bands


@dataclass(frozen=True)
class PeakDay:
    """When most were infectious: median and 95 % bounds; ``growing`` is the share of simulations that end with it."""

    median: np.datetime64
    low: np.datetime64
    high: np.datetime64
    growing: float


@dataclass(frozen=True)
class Outcome:
    """What became of a simulated epidemic. ``infected`` is a share of the population, ``peak`` counts people."""

    scenario: str
    infected: Interval | None
    peak: Interval | None
    peak_day: PeakDay | None


@dataclass(frozen=True)
class Forecast:
    """The next dates of a forecast: (date, median, low, high) with 95 % bounds, after the last observation fitted."""

    scenario: str
    label: str
    last: tuple[np.datetime64, float]
    ahead: Sequence[tuple[np.datetime64, float, float, float]]


@dataclass(frozen=True)
class PointSummary:
    """One point. ``index`` is that of its first task; ``derived`` are numbers that follow from fixed parameters."""

    index: int
    location: str
    parameters: Mapping[str, Any]
    outcomes: Sequence[Outcome] = ()
    derived: Mapping[str, float] | None = None
    estimates: Sequence[Estimate] = ()
    forecasts: Sequence[Forecast] = ()
    pictures: Sequence[Picture] = ()

    @property
    def label(self) -> str:
        """Location and parameters, short."""
        place = self.location.replace("_", " ")
        values = ", ".join(f"{path.rpartition('.')[2]} {short(value)}" for path, value in self.parameters.items())
        return f"{place}: {values}" if values else place

    def with_pictures(self, pictures: Sequence[Picture]) -> PointSummary:
        """The same, illustrated."""
        return replace(self, pictures=pictures)


def short(value: Any) -> str:
    """A value as people would write it."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def outcomes_of(pool: Pool, parts: Sequence[Trajectories], description: Description) -> list[Outcome]:
    """Of each scenario; what the suite does not tell of its model stays open."""
    return [_outcome(pool, part, description) for part in main_parts(parts)]


def _outcome(pool: Pool, part: Trajectories, description: Description) -> Outcome:
    infections = [name for name in description.infections if name in part.variables]
    infectious = [name for name in description.infectious if name in part.variables]
    infected = peak = day = None
    if infections:
        before = sum((part.earlier or {}).get(name, 0.0) for name in infections)
        infected = interval((before + sum_of(part, infections).sum(axis=1)) / pool.first.population, part.weights)
    if infectious:
        agents = sum_of(part, infectious)
        peak = interval(agents.max(axis=1), part.weights)
        day = _peak_day(agents, part)
    return Outcome(part.scenario, infected, peak, day)


def _peak_day(agents: Floats, part: Trajectories) -> PeakDay:
    at = agents.argmax(axis=1)
    found = interval(part.dates[at].astype("datetime64[D]").astype(float), part.weights)
    median, low, high = (np.datetime64(round(day), "D") for day in (found.median, found.low, found.high))
    return PeakDay(median, low, high, float(part.weights[at == len(part.dates) - 1].sum()))


def forecasts_of(fans: Sequence[Fan]) -> list[Forecast]:
    """What the fans say of the dates after the fitted ones."""
    return [found for fan in fans if (found := _forecast(fan))]


def _forecast(fan: Fan) -> Forecast | None:
    ahead = [
        (day, float(bands[_MEDIAN]), float(bands[_LOW]), float(bands[_HIGH])) for day, bands in fan.after_start(_NEXT)
    ]
    if fan.observed is None or fan.start is None or not ahead:
        return None
    last = float(fan.observed.values[fan.observed.fitted][-1])
    return Forecast(fan.scenario, fan.label, (fan.start, last), ahead)
