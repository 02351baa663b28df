"""Computes one task with the package's runner, reproducibly, and turns its silent failures into errors."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from epydemix.calibration import ABCSampler

from epydrop.errors import EpydropError
from epydrop_stages.suites.epymodelingsuite.package_warnings import PackageWarnings, package_warnings
from epydrop_stages.suites.epymodelingsuite.work import CALIBRATION, PackageResult, Work, kind_of

_SIMULATION_STREAM = 1  # added to the seed: simulations must not reuse the random numbers of the proposals


class NoForecast(EpydropError):
    """The package returned without a posterior or without a requested projection."""


def run_work(work: Work, seed: int) -> PackageResult:
    """Call the package's runner. Raises NoForecast, and whatever the package raises.

    A failed projection fails the task, so that ``min_success`` and ``required`` decide whether the forecast is
    published without this location. The package alone would log a warning and leave the location out.
    """
    from epymodelingsuite.dispatcher import dispatch_runner  # noqa: PLC0415 - see package.py

    configs = seeded(work.open(), seed)
    population = configs.model.population
    with package_warnings() as warned:
        output = dispatch_runner(configs)
    kind = kind_of(configs)
    failed = _check(output, configs, warned) if kind == CALIBRATION else 0
    return PackageResult(
        kind,
        output,
        people=float(np.sum(population.Nk)),
        contacts=_contacts(population),
        observed=work.observed,
        failed_simulations=len(warned.failures) - failed,
        failed_projections=failed,
    )


def seeded(configs: Any, seed: int) -> Any:
    """The BuilderOutput with every random generator seeded from the task's seed; modified in place.

    The package creates one generator that the simulations of all locations share, and none for the calibration. Here
    both get their own, so that a task's numbers depend on its seed only and not on what ran before.
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - code in the repository may use the global generator
    configs.seed = seed
    if configs.calibrator is not None:
        for generator in _generators(configs.calibrator.simulation_function):
            generator.bit_generator.state = np.random.default_rng([seed, _SIMULATION_STREAM]).bit_generator.state
        configs.calibrator = _with_seed(configs.calibrator, seed)
    return configs


def _with_seed(sampler: ABCSampler, seed: int) -> ABCSampler:
    """A new sampler with this seed: ABCSampler takes its seed only when it is created."""
    return type(sampler)(
        simulation_function=sampler.simulation_function,
        priors=sampler.priors,
        parameters=sampler.parameters,
        observed_data=sampler.observed_data["data"],
        distance_function=sampler.distance_function,
        rng=seed,
    )


def _generators(function: Any) -> list[np.random.Generator]:
    """The generators in a function's closure; the package offers no other access to them."""
    cells = getattr(function, "__closure__", None) or ()
    return [cell.cell_contents for cell in cells if isinstance(cell.cell_contents, np.random.Generator)]


def _contacts(population: Any) -> float:
    """Spectral radius of the contact matrix, summed over all layers."""
    overall = np.sum(list(population.contact_matrices.values()), axis=0)
    return float(np.max(np.abs(np.linalg.eigvals(overall))))


def _check(output: Any, configs: Any, warned: PackageWarnings) -> int:
    """Number of failed projections. Raises NoForecast without a posterior, or if all requested projections failed."""
    results = output.results
    if results is None or not results.posterior_distributions:
        raise NoForecast(f"the calibration of {output.population} accepted no particle within max_time or its budget")
    if configs.projection is None:
        return 0
    projections = [run for runs in results.projections.values() for run in runs]
    failed = sum(not run for run in projections)
    if failed == len(projections):
        why = warned.messages[-1] if warned.messages else "the package gave no reason"
        raise NoForecast(f"{output.population} was calibrated, but its projection failed: {why}")
    return failed
