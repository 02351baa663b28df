"""One simulation before anything is spent: what would fail in every task fails here, once and in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from epydrop.errors import BadInput, Problem
from epydrop_stages.suites.epymodelingsuite.compute import seeded
from epydrop_stages.suites.epymodelingsuite.configuration import Part
from epydrop_stages.suites.epymodelingsuite.package import NAME, installed
from epydrop_stages.suites.epymodelingsuite.tasks import location_of
from epydrop_stages.suites.epymodelingsuite.warned import listening
from epydrop_stages.suites.epymodelingsuite.work import Work, kind_of

# What version 0.1.0 cannot do, by what it raises: it leaves a variable unset, or reads what is not there.
_LIMITS = {
    "intervention_types": "it needs at least one intervention; one of scaling_factor 1.0 changes nothing",
    "'NoneType' object is not subscriptable": "it calibrates only models with vaccination and a calibrated start_date",
    "has no attribute 'resample_frequency'": "add model.simulation.resample_frequency, such as W-SAT for weekly data",
    "has no attribute 'n_sims'": "add model.simulation with n_sims and resample_frequency",
    "'NoneType' object has no attribute 'items'": "give calibration both 'parameters' and 'compartments', empty or not",
    "is out of bounds for axis 0": "it samples start_date only in models without vaccination",
    "'<' not supported between instances of 'NoneType'": "it samples only where start_date is sampled, too",
}


def try_out(outputs: Sequence[Any], basemodel: Part) -> None:
    """Simulates the first task, and of sampled models the ones that begin first and last. Raises BadInput."""
    chosen = {id(output): output for output in (outputs[0], *_extremes(outputs))}
    for output in chosen.values():
        copy = seeded(Work.of(output).open(), 0)
        where = f"a trial simulation of {location_of(output)}"
        try:
            if copy.calibrator is None:
                _simulation(copy)
            else:
                _compare(*_calibration(copy), basemodel)
        except BadInput:
            raise
        except Exception as error:
            raise BadInput(explained(error, where)) from error


def explained(error: Exception, doing: str) -> Problem:
    """An error of the package as a problem of the configuration, with what is known of its limits."""
    message = f"{type(error).__name__}: {error}"
    hint = next((advice for words, advice in _LIMITS.items() if words in message), f"installed are {installed()}")
    return Problem(f"config: {NAME}: {doing} failed: {message}", hint=hint)


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
    """Simulates one draw of the priors as a calibration, and as a projection; returns the dates of both."""
    sampler = configs.calibrator
    rng = np.random.default_rng(0)
    drawn = {name: prior.rvs(random_state=rng) for name, prior in sampler.priors.items()}
    simulated = _simulated(configs, {**sampler.parameters, **drawn})
    sampler.distance_function(data=sampler.observed_data, simulation=simulated)
    end = configs.projection.end_date if configs.projection else sampler.parameters["end_date"]
    future = _simulated(configs, {**drawn, "projection": True, "end_date": end, "epimodel": configs.model})
    return simulated.get("date", future["date"]), future["date"]


def _simulated(configs: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """What the wrapped simulation returns; it swallows some errors, and warns of them."""
    with listening() as warned:
        found: dict[str, Any] = configs.calibrator.simulation_function(parameters)
    if warned.failures or not found:
        raise RuntimeError(warned.failures[-1] if warned.failures else "it returned nothing")
    return found


def _compare(observed: Sequence[Any], simulated: Sequence[Any], basemodel: Part) -> None:
    """Raises BadInput if no observation has a simulated date: everything would be compared with zero."""
    theirs, ours = (pd.DatetimeIndex(pd.to_datetime(list(dates))) for dates in (observed, simulated))
    if not theirs.isin(ours).any():
        message = f"the data are of {_days(theirs)}, and the model gives values on {_days(ours)}"
        hint = "name the day on which the data's weeks end, such as W-SAT"
        raise BadInput(basemodel.problem(message, ("model", "simulation", "resample_frequency"), hint))


def _days(dates: pd.DatetimeIndex) -> str:
    names = list(dict.fromkeys(f"{date:%A}s" for date in dates))
    return f"{', '.join(names[:2])} ({dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d})"
