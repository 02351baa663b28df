"""The simulated periods of a calibration to data and of its projection.

A calibration ends with the fitting window, and a hub defines how far its forecasts go, so the experiment may leave out
both dates. Whole days are simulated, whatever the time step, because the data count whole days.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from epydrop.experiment import Experiment
from epydrop.experiment.forecasts import ending, with_projection_end
from epydrop_stages.contract.results import Observations
from epydrop_stages.inputs.observations import DAYS_OF, is_transition

Section = dict[str, Any]

_END_OF_DAY = " 23:59"


def with_dates(config: Section, experiment: Experiment) -> Section:
    """Fill in the dates that ``data`` and ``outputs.hub`` imply where the configuration leaves them out."""
    if experiment.data is None:
        return config
    return with_projection_end(ending(config, experiment.data.fitting_window.end_date), experiment.outputs.hub)


def whole_days(simulation: Section) -> Section:
    """Extend the simulation to the last step of its last day; a plain end date means the first step of that day."""
    return {**simulation, "end_date": str(pd.Timestamp(simulation["end_date"]).date()) + _END_OF_DAY}


def uncovered_data(simulation: Section, observed: Observations) -> Iterator[tuple[str, str]]:
    """Fitted observations that the simulation does not cover or cannot resolve: (key of the setting, message)."""
    length = DAYS_OF[observed.period]
    start, last = pd.Timestamp(simulation["start_date"]), observed.dates[observed.fitted][0]
    first = last - np.timedelta64(length - 1, "D")
    # A transition counts people during a day, so its first day must be simulated from its beginning.
    whole = start.ceil("D") if is_transition(observed.variable) else start.floor("D")
    if whole.to_datetime64() > first:
        days = f"{first}" if length == 1 else f"{first} to {last}"
        message = (
            f"simulation.start_date {simulation['start_date']} is too late for the first observation, which counts "
            f"{days}; start by {first}, or let data.fitting_window begin later"
        )
        yield "start_date", message
    if float(simulation.get("dt", 1.0)) > 1:
        yield "dt", f"simulation.dt {simulation['dt']} is longer than a day, but 'data' count whole days or weeks"
