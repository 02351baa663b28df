"""Computes one task: simulate, or calibrate and project. The result depends only on the work and the seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

import numpy as np
from epydemix.cli.config import DEFAULT_N_SIMULATIONS
from epydemix.model.simulation_output import Trajectory

from epydrop.errors import KeyPath
from epydrop_stages.contract.results import Result
from epydrop_stages.suites.epydemix.calibration import Comparison, Fit, prior_medians, sample
from epydrop_stages.suites.epydemix.model import Setting, Work, folder_of, prepare
from epydrop_stages.suites.epydemix.projection import Draws, project, scenario_configs
from epydrop_stages.suites.epydemix.totals import collect, totals_of


def run_work(work: Work, seed: int) -> Result:
    """The result of one task. Raises BadInput if the configuration cannot be computed."""
    return _calibrate(work, seed) if work.config.get("calibration") else _simulate(work, seed)


def _simulate(work: Work, seed: int) -> Result:
    with folder_of(work.files) as folder:
        setting = prepare(work, folder)
        count = int(work.config["simulation"].get("n_simulations", DEFAULT_N_SIMULATIONS))
        run, rng = setting.simulator(), np.random.default_rng(seed)
        runs = [totals_of(run({}, rng)) for _ in range(count)]
    return Result((collect("simulation", runs, np.full(count, 1 / count)),), setting.size, setting.contacts)


def _calibrate(work: Work, seed: int) -> Result:
    with folder_of(work.files) as folder:
        setting = prepare(work, folder)
        comparison = Comparison.of(work, folder, _trial(work, setting))
        run, target = setting.simulator(), comparison.observed.variable
        fit = sample(work.config, run, comparison, seed)
        posterior = fit.posterior()
        fitted = [totals_of(run(particle.values, particle.rng()), target) for particle in fit.particles()]
        projections = project(work, folder, _draws(work, setting, fit, seed), target)
        trajectories = (collect("calibration", fitted, posterior.weights), *projections)
    return Result(trajectories, setting.size, setting.contacts, posterior, comparison.observed)


def _draws(work: Work, setting: Setting, fit: Fit, seed: int) -> Draws:
    """The particles of the projection; with ``data`` it continues where the accepted simulations end."""
    number = int((work.config.get("projection") or {}).get("generation", -1))
    generation = None if number == -1 else number  # epydemix's default: -1 is the last one
    # Without data, a configuration is projected as epydemix does it: from the start, with the particle's parameters.
    replayed = len(setting.dates) if work.observed else 0
    return Draws(fit.particles(generation), fit.posterior(generation).weights, seed, replayed)


T = TypeVar("T")


@dataclass(frozen=True)
class Trial(Generic[T]):
    """Something that the builder tries before any task runs. ``path``: the section of the experiment that it tests."""

    words: str
    path: KeyPath
    run: Callable[[], T]


def trials(work: Work) -> Iterator[Trial[None]]:
    """One simulation of each kind that a task runs.

    What cannot work fails here, once, instead of in every task: with BadInput, or with whatever epydemix raises.
    """
    compare = bool(work.config.get("calibration"))
    yield Trial("model: a trial simulation", ("model",), partial(_try, work, compare=compare))
    for name, config in scenario_configs(work.config, work.scenarios):
        run = partial(_try, replace(work, config=config), compare=False)
        if name:
            yield Trial(f"scenarios: {name}: a trial projection", ("scenarios", name), run)
        else:
            yield Trial("model: projection: a trial", ("model", "projection"), run)


def _try(work: Work, *, compare: bool) -> None:
    with folder_of(work.files) as folder:
        trial = _trial(work, prepare(work, folder))
        if compare:
            Comparison.of(work, folder, trial)


def _trial(work: Work, setting: Setting) -> Trajectory:
    return setting.simulator()(prior_medians(work.config), np.random.default_rng(0))
