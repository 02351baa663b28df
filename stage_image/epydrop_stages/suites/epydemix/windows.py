"""From when to when a calibration to data and its projection are simulated.

The end of a calibration is the end of the fitting window, and a hub says how far its forecasts go; so the experiment
file may leave both out. Every day between is simulated whole, whatever the time step.
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
    """The configuration with the dates that ``data`` and ``outputs.hub`` imply, where it leaves them out."""
    if experiment.data is None:
        return config
    return with_projection_end(ending(config, experiment.data.fitting_window.end_date), experiment.outputs.hub)


def whole_days(simulation: Section) -> Section:
    """The simulation up to the last step of its last day; a plain date as the end would be the first step of that."""
    return {**simulation, "end_date": str(pd.Timestamp(simulation["end_date"]).date()) + _END_OF_DAY}


def not_simulated(simulation: Section, observed: Observations) -> Iterator[str]:
    """What of the fitted periods a simulation does not cover, or cannot tell by days."""
    length = DAYS_OF[observed.period]
    start, last = pd.Timestamp(simulation["start_date"]), observed.dates[observed.fitted][0]
    first = last - np.timedelta64(length - 1, "D")
    whole = start.ceil("D") if is_transition(observed.variable) else start.floor("D")
    if whole.to_datetime64() > first:
        days = f"{first}" if length == 1 else f"{first} to {last}"
        yield (
            f"simulation.start_date {simulation['start_date']} is too late for the first observation, which counts "
            f"{days}; start by {first}, or let data.fitting_window begin later"
        )
    if float(simulation.get("dt", 1.0)) > 1:
        yield f"simulation.dt {simulation['dt']} is longer than a day, and 'data' count whole days or weeks"
