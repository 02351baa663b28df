"""The forecast hubs whose files can be written: everything that differs from hub to hub, as data.

A hub of the US is added here and nowhere else (hubverse model output, weeks that end on Saturdays, FIPS codes): the
functions check ``outputs.hub`` against it, and the output stage makes its rows and checks them by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_LEVELS = (0.01, 0.025, *(percent / 100 for percent in range(5, 100, 5)), 0.975, 0.99)


@dataclass(frozen=True)
class TrendTarget:
    """A target that asks for the probability of each category of change since ``baseline_horizon``.

    ``categories``: from large decrease to large increase, five of them. A change is stable below ``fewest`` counts or
    below ``stable_below``, and large from ``large_from`` on; both map the horizon to a rate per 100 000 people.
    """

    target: str
    categories: tuple[str, str, str, str, str]
    stable_below: Mapping[int, float]
    large_from: Mapping[int, float]
    fewest: int
    baseline_horizon: int = -1

    @property
    def horizons(self) -> tuple[int, ...]:
        """In weeks after the reference date."""
        return tuple(self.stable_below)


@dataclass(frozen=True)
class HubFormat:
    """One hub. ``quantity`` is what its quantile target counts in a week, as figures call it.

    ``levels``: the quantiles that it requires, ascending. ``horizons``: the weeks that it accepts, counted from the
    week that ends on the reference date. ``trends``: its target for changes, if it has one.
    """

    title: str
    quantity: str
    target: str
    levels: tuple[float, ...] = _LEVELS
    horizons: tuple[int, ...] = (-1, 0, 1, 2, 3)
    trends: TrendTarget | None = None

    @property
    def last_horizon(self) -> int:
        """The last week that a projection must reach, in weeks after the reference date."""
        return max(self.horizons)


HUB_FORMATS: Mapping[str, HubFormat] = {
    # The season 2025-26: github.com/cdcepi/FluSight-forecast-hub, hub-config/tasks.json and model-output/README.md with
    # its appendix 1 on rate trends, as of commit 92469693 (2026). It has five targets; these are the two supported.
    "flusight": HubFormat(
        title="FluSight",
        quantity="hospital admissions",
        target="wk inc flu hosp",
        trends=TrendTarget(
            target="wk flu hosp rate change",
            categories=("large_decrease", "decrease", "stable", "increase", "large_increase"),
            stable_below={0: 0.3, 1: 0.5, 2: 0.7, 3: 1.0},
            large_from={0: 1.7, 1: 3.0, 2: 4.0, 3: 5.0},
            fewest=10,
        ),
    ),
}
"""``outputs.hub.format`` -> the hub."""
