"""Daily simulations converted to the periods of the data: sums over days or weeks, or values at their end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from epydrop_stages.contract.results import Days, Floats, Observations

DAYS_OF = {"day": 1, "week": 7}  # length of a period in days


@dataclass(frozen=True)
class Periods:
    """The periods of the data within the simulated days; computed once, applied to any number of simulations.

    ``dates``: shape (m,), the last day of each period. ``ends``: shape (m,), index of that day among the simulated
    days. ``length`` in days. ``summed``: whether a value is the sum over its period (transitions) or the value on the
    last day (compartments).
    """

    dates: Days
    ends: npt.NDArray[np.intp]
    length: int
    summed: bool

    @classmethod
    def of(cls, observed: Observations, days: Days) -> Periods:
        """All periods that lie completely within ``days``, aligned with the observed dates."""
        length = DAYS_OF[observed.period]
        days = days.astype("datetime64[D]")
        phase = (days - observed.dates[0].astype("datetime64[D]")).astype(int) % length
        ends = np.flatnonzero(phase == 0)
        ends = ends[ends >= length - 1]
        return cls(days[ends], ends, length, is_transition(observed.variable))

    def at(self, dates: Days) -> Periods:
        """The periods that end on one of these dates."""
        kept = np.isin(self.dates, dates.astype("datetime64[D]"))
        return replace(self, dates=self.dates[kept], ends=self.ends[kept])

    def values(self, daily: Floats) -> Floats:
        """Convert daily values of shape (..., days) to values of the periods, shape (..., m)."""
        if not self.summed or self.length == 1:
            return daily[..., self.ends]
        before = np.zeros((*daily.shape[:-1], 1))
        summed = np.concatenate([before, np.cumsum(daily, axis=-1)], axis=-1)
        return np.asarray(summed[..., self.ends + 1] - summed[..., self.ends + 1 - self.length])


def is_transition(variable: str) -> bool:
    """Whether a variable counts people moving between compartments, as in ``S_to_I``, rather than people in one."""
    return "_to_" in variable


def by_period(observed: Observations, dates: Days, values: Floats) -> tuple[Days, Floats]:
    """Convert daily ``values`` (simulations, days) of the observed variable to the periods of the data.

    Returns the last day (m,) of every whole period within ``dates``, and the values (simulations, m).
    """
    periods = Periods.of(observed, dates)
    return periods.dates, periods.values(values)
