"""One task: the package's runner, made reproducible, and its silent failures made loud."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from epydemix.calibration import ABCSampler

from epydrop.errors import EpydropError
from epydrop_stages.suites.epymodelingsuite.warned import Warned, listening
from epydrop_stages.suites.epymodelingsuite.work import CALIBRATION, Made, Work, kind_of

_WRAPPER_STREAM = 1  # the package's simulations draw from another stream than the calibration's proposals


class NoForecast(EpydropError):
    """The package came back without what the task is for."""


def run_work(work: Work, seed: int) -> Made:
    """Calls the package's runner. Raises NoForecast, MemoryError as itself, and whatever the package raises.

    A failed projection fails the task. The package would return the calibration alone and log a warning, and the
    location would be missing from the forecast without anybody having been asked; this way ``min_success`` decides.
    """
    from epymodelingsuite.dispatcher import dispatch_runner  # noqa: PLC0415 - see package.py

    configs = seeded(work.open(), seed)
    population = configs.model.population
    with listening() as warned:
        output = dispatch_runner(configs)
    kind = kind_of(configs)
    failed = _check(output, configs, warned) if kind == CALIBRATION else 0
    return Made(
        kind,
        output,
        people=float(np.sum(population.Nk)),
        contacts=_contacts(population),
        observed=work.observed,
        failed_simulations=len(warned.failures) - failed,
        failed_projections=failed,
    )


def seeded(configs: Any, seed: int) -> Any:
    """The same BuilderOutput, with the task's seed wherever it draws at random.

    The package makes one generator for all locations, which its simulations share, and none for the calibration
    itself. Both get their own here, so that a task's numbers depend on its seed and on nothing that ran before.
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - for code of the repository that draws from the global generator
    configs.seed = seed
    if configs.calibrator is not None:
        for generator in _generators(configs.calibrator.simulation_function):
            generator.bit_generator.state = np.random.default_rng([seed, _WRAPPER_STREAM]).bit_generator.state
        configs.calibrator = _with_seed(configs.calibrator, seed)
    return configs


def _with_seed(sampler: ABCSampler, seed: int) -> ABCSampler:
    """The same sampler, made again: only then does it draw from the seed in calibration and projection alike."""
    return type(sampler)(
        simulation_function=sampler.simulation_function,
        priors=sampler.priors,
        parameters=sampler.parameters,
        observed_data=sampler.observed_data["data"],
        distance_function=sampler.distance_function,
        rng=seed,
    )


def _generators(function: Any) -> list[np.random.Generator]:
    """The generators that a function has closed over."""
    cells = getattr(function, "__closure__", None) or ()
    return [cell.cell_contents for cell in cells if isinstance(cell.cell_contents, np.random.Generator)]


def _contacts(population: Any) -> float:
    """The spectral radius of the contact matrix, all layers together."""
    overall = np.sum(list(population.contact_matrices.values()), axis=0)
    return float(np.max(np.abs(np.linalg.eigvals(overall))))


def _check(output: Any, configs: Any, warned: Warned) -> int:
    """How many projections failed. Raises NoForecast if there is no posterior, or no projection that was asked for."""
    results = output.results
    if results is None or not results.posterior_distributions:
        raise NoForecast(f"the calibration of {output.population} accepted no particle within max_time or its budget")
    if configs.projection is None:
        return 0
    projections = [run for runs in results.projections.values() for run in runs]
    failed = sum(not run for run in projections)
    if failed == len(projections):
        reasons = [message for message in warned.messages if "rojection" in message or "Simulation failed" in message]
        why = reasons[-1] if reasons else "the package gave no reason"
        raise NoForecast(f"{output.population} was calibrated, and its projection failed: {why}")
    return failed
