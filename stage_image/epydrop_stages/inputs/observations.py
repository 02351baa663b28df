"""Simulations in the terms of what was observed: summed or sampled over the periods of the data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from epydrop_stages.contract.results import Days, Floats, Observations

DAYS_OF = {"day": 1, "week": 7}


@dataclass(frozen=True)
class Periods:
    """Which days of a simulation make up the periods of the data: found once, for any number of simulations.

    ``dates`` (m,) are their last days, ``ends`` (m,) the positions of these among the days simulated.
    """

    dates: Days
    ends: npt.NDArray[np.intp]
    length: int
    summed: bool

    @classmethod
    def of(cls, observed: Observations, days: Days) -> Periods:
        """All periods that lie wholly within the ``days`` simulated, in step with the dates observed."""
        length = DAYS_OF[observed.period]
        days = days.astype("datetime64[D]")
        phase = (days - observed.dates[0].astype("datetime64[D]")).astype(int) % length
        ends = np.flatnonzero(phase == 0)
        ends = ends[ends >= length - 1]
        return cls(days[ends], ends, length, is_transition(observed.variable))

    def at(self, dates: Days) -> Periods:
        """Only those that end on these dates."""
        kept = np.isin(self.dates, dates.astype("datetime64[D]"))
        return replace(self, dates=self.dates[kept], ends=self.ends[kept])

    def values(self, daily: Floats) -> Floats:
        """Daily values (..., days) as values of the periods (..., m).

        A transition is summed over its period, a compartment counts at the period's end.
        """
        if not self.summed or self.length == 1:
            return daily[..., self.ends]
        before = np.zeros((*daily.shape[:-1], 1))
        summed = np.concatenate([before, np.cumsum(daily, axis=-1)], axis=-1)
        return np.asarray(summed[..., self.ends + 1] - summed[..., self.ends + 1 - self.length])


def is_transition(variable: str) -> bool:
    """Whether a variable counts people who move, rather than people who are somewhere."""
    return "_to_" in variable


def by_period(observed: Observations, dates: Days, values: Floats) -> tuple[Days, Floats]:
    """Daily ``values`` (simulations, days) of the observed variable in the periods of the data.

    Returns the last days (m,) of all whole periods within ``dates`` and the values (simulations, m).
    """
    periods = Periods.of(observed, dates)
    return periods.dates, periods.values(values)
