"""Runs a trial simulation in the builder: what would fail in every task fails here, once, with an explanation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from epydrop.errors import BadInput, Problem
from epydrop_stages.suites.epymodelingsuite.compute import seeded
from epydrop_stages.suites.epymodelingsuite.configuration import Configuration, Part
from epydrop_stages.suites.epymodelingsuite.limits import known_limits
from epydrop_stages.suites.epymodelingsuite.package import NAME, installed
from epydrop_stages.suites.epymodelingsuite.package_warnings import package_warnings
from epydrop_stages.suites.epymodelingsuite.tasks import location_of
from epydrop_stages.suites.epymodelingsuite.work import Work, kind_of


def try_out(outputs: Sequence[Any], configuration: Configuration) -> None:
    """Simulate the first task and, of sampled models, those with the earliest and latest start. Raises BadInput."""
    chosen = {id(output): output for output in (outputs[0], *_extremes(outputs))}
    for output in chosen.values():
        copy = seeded(Work.of(output).open(), 0)
        where = f"a trial simulation of {location_of(output)}"
        try:
            if copy.calibrator is None:
                _simulation(copy)
            else:
                _compare(*_calibration(copy), configuration.basemodel)
        except BadInput:
            raise
        except Exception as error:
            raise BadInput(failure(error, where, configuration)) from error


def failure(error: Exception, doing: str, configuration: Configuration) -> Problem:
    """An exception of the package as a problem, with the known limits that this configuration exceeds as a hint."""
    hint = "; ".join(known_limits(configuration)) or f"installed are {installed()}"
    message = f"config: {NAME}: {doing} failed: {type(error).__name__}: {error}"
    return Problem(message, hint=hint, path=("suite",))  # what raised it does not say which setting is the cause


def _extremes(outputs: Sequence[Any]) -> list[Any]:
    simulated = [output for output in outputs if kind_of(output) == "simulation"]
    if not simulated:
        return []
    by_start = sorted(simulated, key=lambda output: output.simulation.start_date)
    return [by_start[0], by_start[-1]]


def _simulation(configs: Any) -> None:
    arguments = {**dict(configs.simulation), "Nsim": 1}
    configs.model.run_simulations(**arguments, rng=np.random.default_rng(0))


def _calibration(configs: Any) -> tuple[Sequence[Any], Sequence[Any]]:
    """Simulate one draw from the priors as a calibration and as a projection; returns the dates of both."""
    sampler = configs.calibrator
    rng = np.random.default_rng(0)
    drawn = {name: prior.rvs(random_state=rng) for name, prior in sampler.priors.items()}
    simulated = _simulated(configs, {**sampler.parameters, **drawn})
    sampler.distance_function(data=sampler.observed_data, simulation=simulated)
    end = configs.projection.end_date if configs.projection else sampler.parameters["end_date"]
    future = _simulated(configs, {**drawn, "projection": True, "end_date": end, "epimodel": configs.model})
    return simulated.get("date", future["date"]), future["date"]


def _simulated(configs: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """Call the wrapped simulation. It catches some errors and only logs them; these are raised as RuntimeError."""
    with package_warnings() as warned:
        found: dict[str, Any] = configs.calibrator.simulation_function(parameters)
    if warned.failures or not found:
        raise RuntimeError(warned.failures[-1] if warned.failures else "it returned nothing")
    return found


def _compare(observed: Sequence[Any], simulated: Sequence[Any], basemodel: Part) -> None:
    """Raise BadInput if no observation is on a simulated date: the package would compare everything with zero."""
    theirs, ours = (pd.DatetimeIndex(pd.to_datetime(list(dates))) for dates in (observed, simulated))
    if not theirs.isin(ours).any():
        message = f"the data are for {_days(theirs)}, but the model has values for {_days(ours)}"
        hint = "name the day on which the weeks of the data end, such as W-SAT"
        raise BadInput(basemodel.problem(message, ("model", "simulation", "resample_frequency"), hint))


def _days(dates: pd.DatetimeIndex) -> str:
    names = list(dict.fromkeys(f"{date:%A}s" for date in dates))
    return f"{', '.join(names[:2])} ({dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d})"
