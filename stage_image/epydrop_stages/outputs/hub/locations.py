"""Which of the hub's locations a population is, and what the hub would reject, reported before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from epydrop.errors import Problem
from epydrop.experiment import Experiment
from epydrop.experiment.hub_formats import HUB_FORMATS
from epydrop_stages.contract.results import Observations
from epydrop_stages.inputs.us_locations import UsLocation, us_location


def hub_location(location: str, experiment: Experiment) -> UsLocation | None:
    """The location of a population: by its own name, else by the name that the data file has for it."""
    names = experiment.data.names if experiment.data else {}
    return us_location(location) or us_location(names.get(location, ""))


def hub_problems(experiment: Experiment, observed: Mapping[str, Observations]) -> Iterator[Problem]:
    """Populations that the hub does not know, two for one location, and data whose weeks are not the hub's."""
    hub = experiment.outputs.hub
    if hub is None:
        return
    title = HUB_FORMATS[hub.format].title
    by_fips: dict[str, str] = {}
    for location, series in observed.items():
        place = hub_location(location, experiment)
        if place is None:
            hint = f"data.names: {{{location}: US-MA}} would make it Massachusetts"
            yield _problem(f"{location!r} is not a state, territory or country that {title} forecasts", hint)
        elif place.fips in by_fips:
            yield _problem(f"{by_fips[place.fips]} and {location} are both location {place.fips}, {place.name}")
        else:
            by_fips[place.fips] = location
        end = pd.Timestamp(series.dates[0])  # the others are whole weeks later, which the reader of the data checks
        if (end - pd.Timestamp(hub.reference_date)).days % 7:
            yield _problem(f"the hub's weeks end on Saturdays, those of {location} in the data on {end:%A}s")


def _problem(message: str, hint: str = "") -> Problem:
    return Problem(f"outputs: hub: {message}", hint=hint, path=("outputs", "hub"))
