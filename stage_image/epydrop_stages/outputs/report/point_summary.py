"""What the report keeps of each point: a few numbers, and the names of its figures. Trajectories are not kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from epydrop_stages.contract.description import Description
from epydrop_stages.contract.results import Floats, Trajectories
from epydrop_stages.outputs.pooled_point import PooledPoint, sum_of
from epydrop_stages.outputs.report.fan_data import MEDIAN, Fan, main_parts
from epydrop_stages.outputs.report.figure_files import PointFigure
from epydrop_stages.outputs.report.formatting import short
from epydrop_stages.outputs.report.posterior_estimates import Estimate, Interval, interval

_DATES_AHEAD = 4  # dates of a forecast that the report shows in numbers


@dataclass(frozen=True)
class PeakDay:
    """The day with most infectious people: median and 95 % bounds.

    ``growing``: the share of simulations whose last day it is; their peak may be later.
    """

    median: np.datetime64
    low: np.datetime64
    high: np.datetime64
    growing: float


@dataclass(frozen=True)
class Outcome:
    """The simulated epidemic of one scenario.

    ``infected``: infections by the last day as a share of the population; ``peak``: the largest number of infectious
    people on one day. None if the model does not name its infections or its infectious compartments.
    """

    scenario: str
    infected: Interval | None
    peak: Interval | None
    peak_day: PeakDay | None


@dataclass(frozen=True)
class Forecast:
    """The first dates of a forecast. ``last``: the last fitted date and its observation.

    ``ahead``: (date, median, lower and upper 95 % bound), in the unit of the data.
    """

    scenario: str
    label: str
    last: tuple[np.datetime64, float]
    ahead: Sequence[tuple[np.datetime64, float, float, float]]


@dataclass(frozen=True)
class Model:
    """What the suite says of its model: in half a sentence, in full, and the unit of each parameter."""

    words: str = ""
    document: str = ""
    units: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, description: Description) -> Model:
        """From what the suite says of one point."""
        return cls(description.words, description.document, description.units)


@dataclass(frozen=True)
class PointSummary:
    """One point. ``index``: that of its first task; ``derived``: numbers that follow from fixed parameters."""

    index: int
    location: str
    parameters: Mapping[str, Any]
    outcomes: Sequence[Outcome] = ()
    derived: Mapping[str, float] = field(default_factory=dict)
    estimates: Sequence[Estimate] = ()
    forecasts: Sequence[Forecast] = ()
    figures: Sequence[PointFigure] = ()

    @property
    def label(self) -> str:
        """Location and parameters, for the title of a figure."""
        location = self.location.replace("_", " ")
        values = ", ".join(f"{path.rpartition('.')[2]} {short(value)}" for path, value in self.parameters.items())
        return f"{location}: {values}" if values else location

    def with_figures(self, figures: Sequence[PointFigure]) -> PointSummary:
        """A copy with these figures."""
        return replace(self, figures=figures)


def summarise(
    point: PooledPoint,
    parts: Sequence[Trajectories],
    description: Description,
    fans: Sequence[Fan],
    estimates: Sequence[Estimate],
) -> PointSummary:
    """The summary of a point, without figures. ``parts``: its trajectories, chains pooled."""
    return PointSummary(
        index=point.index,
        location=point.location,
        parameters=point.parameters,
        outcomes=outcomes_of(point, parts, description),
        derived={name: float(value) for name, value in description.derived.items() if np.ndim(value) == 0},
        estimates=estimates,
        forecasts=[found for fan in fans if (found := _forecast(fan))],
    )


def outcomes_of(point: PooledPoint, parts: Sequence[Trajectories], description: Description) -> list[Outcome]:
    """The outcome of each scenario."""
    return [_outcome(point, part, description) for part in main_parts(parts)]


def _outcome(point: PooledPoint, part: Trajectories, description: Description) -> Outcome:
    infections = [name for name in description.infections if name in part.variables]
    infectious = [name for name in description.infectious if name in part.variables]
    infected = peak = day = None
    if infections:
        # Simulations that begin on dates of their own have had infections before the first common date.
        before = sum((part.earlier or {}).get(name, 0.0) for name in infections)
        infected = interval((before + sum_of(part, infections).sum(axis=1)) / point.first.population, part.weights)
    if infectious:
        people = sum_of(part, infectious)
        peak = interval(people.max(axis=1), part.weights)
        day = _peak_day(people, part)
    return Outcome(part.scenario, infected, peak, day)


def _peak_day(infectious: Floats, part: Trajectories) -> PeakDay:
    """``infectious``: people, of shape (simulations, days)."""
    at = infectious.argmax(axis=1)
    # As days since 1970, because quantiles are defined for numbers.
    found = interval(part.dates[at].astype("datetime64[D]").astype(float), part.weights)
    median, low, high = (np.datetime64(round(day), "D") for day in (found.median, found.low, found.high))
    return PeakDay(median, low, high, float(part.weights[at == len(part.dates) - 1].sum()))


def _forecast(fan: Fan) -> Forecast | None:
    """None if the fan has no observations, or no date after the fitted ones."""
    ahead = [
        (day, float(bands[MEDIAN]), float(bands[0]), float(bands[-1])) for day, bands in fan.after_start(_DATES_AHEAD)
    ]
    if fan.observed is None or fan.start is None or not ahead:
        return None
    last = float(fan.observed.values[fan.observed.fitted][-1])
    return Forecast(fan.scenario, fan.label, (fan.start, last), ahead)
