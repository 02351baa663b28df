"""What was observed, and simulations brought to the same terms: summed or sampled over the periods of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from epydrop_stages.results import Days, Floats

DAYS_OF = {"day": 1, "week": 7}


@dataclass(frozen=True)
class Observations:
    """What was counted of ``variable`` at one location.

    ``dates`` and ``values`` have the shape (k,): people in the ``period`` ('day' or 'week') that ends with that date.
    ``fitted`` (k,) tells what the calibration saw; the rest was held back, and scores the forecast.
    """

    variable: str
    period: str
    dates: Days
    values: Floats
    fitted: npt.NDArray[np.bool_]


def by_period(observed: Observations, dates: Days, values: Floats) -> tuple[Days, Floats]:
    """Daily ``values`` (simulations, days) of the observed variable in the periods of the data.

    Returns the last days (m,) of all whole periods within ``dates`` and the values (simulations, m): a transition is
    summed over its period, a compartment counts at the period's end.
    """
    length = DAYS_OF[observed.period]
    days = dates.astype("datetime64[D]")
    phase = (days - observed.dates[0].astype("datetime64[D]")).astype(int) % length
    ends = np.flatnonzero(phase == 0)
    ends = ends[ends >= length - 1]
    if "_to_" not in observed.variable:
        return days[ends], values[:, ends]
    summed = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    return days[ends], summed[:, ends + 1] - summed[:, ends + 1 - length]
