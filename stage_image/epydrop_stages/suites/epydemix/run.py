"""One task: simulate, or calibrate and project. The seed alone decides what comes out, to the last byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from epydemix.cli.config import DEFAULT_N_SIMULATIONS
from epydemix.model.simulation_output import Trajectory

from epydrop_stages.contract.results import Result
from epydrop_stages.suites.epydemix.calibration import Comparison, Fit, prior_medians, sample
from epydrop_stages.suites.epydemix.model import Setting, Work, folder_of, prepare
from epydrop_stages.suites.epydemix.projection import Draws, project, scenario_configs
from epydrop_stages.suites.epydemix.totals import collect, totals_of


def run_work(work: Work, seed: int) -> Result:
    """The result of one task. Raises BadInput when the configuration turns out to make no sense."""
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
    """What the projection draws from; with ``data`` it goes on where the accepted simulations end."""
    number = int((work.config.get("projection") or {}).get("generation", -1))
    generation = None if number == -1 else number
    replayed = len(setting.dates) if work.observed else 0
    return Draws(fit.particles(generation), fit.posterior(generation).weights, seed, replayed)


def trials(work: Work) -> Iterator[tuple[str, Callable[[], None]]]:
    """What can be tried in a moment, in words, and how: one simulation of each kind that a task runs.

    What cannot work fails here, once, and not in every task: with BadInput, or with whatever epydemix raises.
    """
    yield "model: a trial simulation", partial(_try, work, compare=bool(work.config.get("calibration")))
    for name, config in scenario_configs(work.config, work.scenarios):
        words = f"scenarios: {name}: a trial projection" if name else "model: projection: a trial"
        yield words, partial(_try, replace(work, config=config), compare=False)


def _try(work: Work, *, compare: bool) -> None:
    with folder_of(work.files) as folder:
        trial = _trial(work, prepare(work, folder))
        if compare:
            Comparison.of(work, folder, trial)


def _trial(work: Work, setting: Setting) -> Trajectory:
    return setting.simulator()(prior_medians(work.config), np.random.default_rng(0))
