"""Calibrates by approximate Bayesian computation (ABC) with epydemix's ``ABCSampler``.

Strategies: ``smc`` is sequential Monte Carlo (Toni et al. 2009, doi:10.1098/rsif.2008.0172), ``rejection`` keeps
simulations within ``epsilon`` of the data, ``top_fraction`` the nearest ones. Defaults are epydemix's.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from epydemix.calibration import metrics
from epydemix.calibration.abc import ABCSampler
from epydemix.calibration.calibration_results import CalibrationResults
from epydemix.cli.config import build_priors, load_observed_data
from epydemix.model.simulation_output import Trajectory

from epydrop.errors import BadInput, Problem
from epydrop_stages.contract.heartbeat import heartbeat
from epydrop_stages.contract.results import Floats, Observations, Posterior
from epydrop_stages.inputs.observations import Periods
from epydrop_stages.suites.epydemix.model import Simulator, Work
from epydrop_stages.suites.epydemix.tasks import Config
from epydrop_stages.suites.epydemix.totals import days_of, series_of

_OPTIONS: dict[str, dict[str, type[int | float]]] = {
    "smc": {
        "num_particles": int,
        "num_generations": int,
        "epsilon_quantile_level": float,
        "minimum_epsilon": float,
        "total_simulations_budget": int,
    },
    "rejection": {"epsilon": float, "num_particles": int, "total_simulations_budget": int},
    "top_fraction": {"top_fraction": float, "Nsim": int},
}
_RELATIVE = ("wmape", "mape")  # distances relative to the observations: they divide by them


@dataclass(frozen=True)
class Comparison:
    """Converts simulations to what the data measure: the observed variable in the fitted periods."""

    observed: Observations
    periods: Periods

    @classmethod
    def of(cls, work: Work, folder: Path, trial: Trajectory) -> Comparison:
        """The comparison for simulations like ``trial``. Raises BadInput if data and simulation do not fit together."""
        observed = work.observed or _daily_observations(work.config, folder, trial)
        _check_target(observed.variable, trial)
        if problem := undefined_distance(work.config, observed):
            raise BadInput(problem)
        fitted = observed.dates[observed.fitted]
        periods = Periods.of(observed, days_of(trial)).at(fitted)
        if len(periods.dates) != len(fitted):
            message = f"model: a simulation covers {len(periods.dates)} of {len(fitted)} periods of the data"
            raise BadInput(Problem(message, path=("model", "simulation")))
        return cls(observed, periods)

    @property
    def data(self) -> Floats:
        """The fitted observations, shape (periods,), in people."""
        return self.observed.values[self.observed.fitted]

    def data_of(self, trajectory: Trajectory) -> Floats:
        """The corresponding values of a simulation, shape (periods,)."""
        return self.periods.values(series_of(trajectory, self.observed.variable))


def undefined_distance(config: Config, observed: Observations) -> Problem | None:
    """The problem if the distance to these observations is undefined for every simulation: sampling would never end."""
    distance = config["calibration"].get("distance", "rmse")
    if distance in _RELATIVE and not observed.values[observed.fitted].any():
        message = f"model: calibration.distance {distance!r} is undefined if all observations are 0; use 'rmse'"
        return Problem(message, path=("model", "calibration", "distance"))
    return None


def _daily_observations(config: Config, folder: Path, trial: Trajectory) -> Observations:
    """The observations that the configuration itself names: one value for each simulated day."""
    values = np.asarray(load_observed_data(config["calibration"], config_dir=folder), dtype=float)
    dates = days_of(trial)
    if len(values) != len(dates):
        message = (
            f"model: calibration.observed_data has {len(values)} values, but a simulation from {dates[0]} to "
            f"{dates[-1]} has {len(dates)} days"
        )
        raise BadInput(Problem(message, path=("model", "calibration", "observed_data")))
    return Observations(_target_of(config, trial), "day", dates, values, np.ones(len(dates), dtype=bool))


def _target_of(config: Config, trial: Trajectory) -> str:
    """The variable compared with the data; by default, as in epydemix, the first compartment that begins with I."""
    totals = [name for name in trial.compartments if name.endswith("_total")]
    default = next((name for name in totals if name.startswith("I")), totals[0])
    return str(config["calibration"].get("target_variable") or default)


def _check_target(target: str, trial: Trajectory) -> None:
    known = [*trial.compartments, *trial.transitions]
    if target not in known:
        message = f"model: calibration.target_variable {target!r} is not among {', '.join(known)}"
        raise BadInput(Problem(message, path=("model", "calibration", "target_variable")))


@dataclass(frozen=True)
class Particle:
    """An accepted simulation: its parameters, and the generator's state before its first draw."""

    values: Mapping[str, float]
    state: Mapping[str, Any]

    def rng(self) -> np.random.Generator:
        """A generator that replays the simulation exactly."""
        generator = np.random.default_rng(0)
        generator.bit_generator.state = self.state
        return generator


@dataclass(frozen=True)
class Fit:
    """The sampler's result, with all its generations."""

    found: CalibrationResults

    def posterior(self, generation: int | None = None) -> Posterior:
        """The particles of a generation, by default the last."""
        values = self.found.get_posterior_distribution(generation)
        weights = np.asarray(self.found.get_weights(generation), dtype=float)
        return Posterior(
            {str(name): values[name].to_numpy(dtype=float) for name in values.columns},
            weights / weights.sum(),
            np.asarray(self.found.get_distances(generation), dtype=float),
        )

    def particles(self, generation: int | None = None) -> list[Particle]:
        """The same particles, each with the state that replays its simulation."""
        values = self.found.get_posterior_distribution(generation).to_dict("records")
        simulations = self.found.get_selected_trajectories(generation)
        return [Particle(one, each["state"]) for one, each in zip(values, simulations, strict=True)]


def sample(config: Config, run: Simulator, comparison: Comparison, seed: int) -> Fit:
    """ABC with the same random draws as ``calibrate_from_config``. Raises BadInput if no particle is accepted.

    Of each simulation only the compared values and the generator's state are kept, from which it can be replayed:
    whole simulations of all generations would not fit in memory.
    """
    calibration = config["calibration"]
    priors = build_priors(calibration)

    def simulation(parameters: Mapping[str, Any]) -> dict[str, Any]:
        heartbeat("calibrating")
        rng = parameters["rng"]
        state = rng.bit_generator.state
        values = {name: value for name, value in parameters.items() if name != "rng"}
        return {"data": comparison.data_of(run(values, rng)), "state": state}

    sampler = ABCSampler(
        simulation_function=simulation,
        priors=priors,
        parameters={name: value for name, value in config.get("parameters", {}).items() if name not in priors},
        observed_data=comparison.data,
        distance_function=getattr(metrics, calibration.get("distance", "rmse")),
        rng=seed,  # as calibrate_from_config passes it, so that both draw the same numbers
    )
    strategy = calibration.get("strategy", "smc")
    options = {name: kind(calibration[name]) for name, kind in _OPTIONS[strategy].items() if name in calibration}
    if strategy == "top_fraction" and "n_simulations" in calibration:
        options.setdefault("Nsim", int(calibration["n_simulations"]))
    with contextlib.redirect_stdout(io.StringIO()):  # it prints why it stopped even with verbose=False
        found = getattr(sampler, f"run_{strategy}")(verbose=False, **options)  # ``calibrate`` would copy the results
    accepted = found.get_posterior_distribution()
    if accepted is None or accepted.empty:
        raise BadInput("the calibration accepted no particle: raise epsilon or total_simulations_budget")
    return Fit(found)


def prior_medians(config: Config) -> dict[str, float]:
    """The prior median of each calibrated parameter; {} without a calibration."""
    calibration = config.get("calibration")
    return {name: float(prior.median()) for name, prior in build_priors(calibration).items()} if calibration else {}
