"""One task: simulate, calibrate, project. The seed alone decides what comes out, to the last byte."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from epydemix.calibration import metrics
from epydemix.calibration.abc import ABCSampler
from epydemix.calibration.calibration_results import CalibrationResults
from epydemix.cli.config import DEFAULT_N_PROJECTIONS, DEFAULT_N_SIMULATIONS, build_priors, load_observed_data
from epydemix.model.simulation_output import Trajectory

from epydrop.errors import BadInput
from epydrop_stages.observations import Observations
from epydrop_stages.results import Days, Floats, Posterior, Result, Trajectories
from epydrop_stages.suites.epydemix.model import Setting, Work, folder_of, prepare
from epydrop_stages.suites.epydemix.tasks import Config

_STRATEGIES: dict[str, dict[str, type[int | float]]] = {
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
_PROJECTION_STREAM = 1  # beside the task's seed, so that a projection does not repeat the calibration's numbers


@dataclass(frozen=True)
class _Totals:
    """A simulation without its age groups: variable -> shape (days,)."""

    dates: Days
    variables: dict[str, Floats]


def run_work(work: Work, seed: int) -> Result:
    """The result of one task. Raises BadInput when the configuration turns out to make no sense."""
    with folder_of(work.files) as folder:
        if work.config.get("calibration"):
            return _calibrate(work, folder, seed)
        setting = prepare(work, folder)
        count = int(work.config["simulation"].get("n_simulations", DEFAULT_N_SIMULATIONS))
        run, rng = setting.simulator(), np.random.default_rng(seed)
        runs = [_totals(run({}, rng)) for _ in range(count)]
    return Result((_collect("simulation", runs, np.full(count, 1 / count)),), setting.size, setting.contacts)


def try_work(work: Work) -> None:
    """One simulation, compared with the data: what cannot work fails here, once, and not in every task.

    Raises BadInput, or whatever epydemix raises.
    """
    with folder_of(work.files) as folder:
        setting = prepare(work, folder)
        values = prior_medians(work.config)
        trajectory = setting.simulator()(values, np.random.default_rng(0))
        if calibration := work.config.get("calibration"):
            observed = load_observed_data(calibration, config_dir=folder)
            days = len(_series(trajectory, target_of(work.config, trajectory)))
            if len(observed) != days:
                raise BadInput(
                    f"model: calibration.observed_data has {len(observed)} values, but a simulation from "
                    f"{setting.start} to {setting.end} has {days} days"
                )
        if "projection" in work.config:
            prepare(_projection_work(work), folder).simulator()(values, np.random.default_rng(0))


# -- calibration -------------------------------------------------------------------------------


def _calibrate(work: Work, folder: Path, seed: int) -> Result:
    setting = prepare(work, folder)
    observed = load_observed_data(work.config["calibration"], config_dir=folder)
    target = target_of(work.config, setting.simulator()(prior_medians(work.config), np.random.default_rng(0)))
    found = _sample(work.config, setting, observed, target, seed)
    accepted = found.get_posterior_distribution()
    if accepted is None or accepted.empty:
        raise BadInput("the calibration accepted no particle: raise epsilon or total_simulations_budget")
    posterior = _posterior(found)
    fitted = [simulation["totals"] for simulation in found.get_selected_trajectories()]
    trajectories = [_collect("calibration", fitted, posterior.weights)]
    if "projection" in work.config:
        trajectories.append(_project(_projection_work(work), folder, found, seed))
    values = np.asarray(observed, dtype=float)
    dates = trajectories[0].dates
    seen = Observations(target, "day", dates, values, np.ones(len(dates), dtype=bool))
    return Result(tuple(trajectories), setting.size, setting.contacts, posterior, seen)


def _sample(config: Config, setting: Setting, observed: Floats, target: str, seed: int) -> CalibrationResults:
    """ABC with the draws of ``calibrate_from_config``; only that each accepted simulation is kept whole."""
    calibration = config["calibration"]
    run = setting.simulator()
    priors = build_priors(calibration)

    def simulation(parameters: Mapping[str, Any]) -> dict[str, Any]:
        values = {name: value for name, value in parameters.items() if name != "rng"}
        trajectory = run(values, parameters["rng"])
        return {"data": _series(trajectory, target), "totals": _totals(trajectory, target)}

    sampler = ABCSampler(
        simulation_function=simulation,
        priors=priors,
        parameters={name: value for name, value in config.get("parameters", {}).items() if name not in priors},
        observed_data=observed,
        distance_function=getattr(metrics, calibration.get("distance", "rmse")),
        rng=seed,
    )
    strategy = calibration.get("strategy", "smc")
    options = {name: kind(calibration[name]) for name, kind in _STRATEGIES[strategy].items() if name in calibration}
    if strategy == "top_fraction" and "n_simulations" in calibration:
        options.setdefault("Nsim", int(calibration["n_simulations"]))
    with contextlib.redirect_stdout(io.StringIO()):  # it prints why it stopped, even when told to be quiet
        return sampler.calibrate(strategy=strategy, verbose=False, **options)


def _posterior(found: CalibrationResults, generation: int | None = None) -> Posterior:
    """The particles of a generation, by default of the last."""
    values = found.get_posterior_distribution(generation)
    weights = np.asarray(found.get_weights(generation), dtype=float)
    return Posterior(
        {str(name): values[name].to_numpy(dtype=float) for name in values.columns},
        weights / weights.sum(),
        np.asarray(found.get_distances(generation), dtype=float),
    )


def prior_medians(config: Config) -> dict[str, float]:
    """A plain value for each calibrated parameter."""
    calibration = config.get("calibration")
    return {name: float(prior.median()) for name, prior in build_priors(calibration).items()} if calibration else {}


# -- projection --------------------------------------------------------------------------------


def _projection_work(work: Work) -> Work:
    """The work with the sections under ``projection`` laid over the others; lists replace lists, as in epydemix."""
    overlay = dict(work.config["projection"] or {})
    config = {**work.config}
    for section in ("simulation", "parameters"):
        config[section] = {**config.get(section, {}), **overlay.get(section, {})}
    for section in ("interventions", "overrides"):
        config[section] = overlay.get(section, config.get(section, []))
    return replace(work, config=config)


def _project(work: Work, folder: Path, found: CalibrationResults, seed: int) -> Trajectories:
    """Simulations from the start to the projection's end, their parameters drawn from the posterior."""
    options = work.config["projection"] or {}
    count = int(options.get("n_simulations", DEFAULT_N_PROJECTIONS))
    generation = int(options.get("generation", -1))
    posterior = _posterior(found, None if generation == -1 else generation)
    rng = np.random.default_rng([seed, _PROJECTION_STREAM])
    run = prepare(work, folder).simulator()
    runs = []
    for _ in range(count):
        particle = rng.choice(len(posterior.weights), p=posterior.weights)
        runs.append(_totals(run({name: values[particle] for name, values in posterior.values.items()}, rng)))
    return _collect("projection", runs, np.full(count, 1 / count))


# -- variables ---------------------------------------------------------------------------------


def target_of(config: Config, trajectory: Trajectory) -> str:
    """The variable that is compared with the data; by default the first infectious compartment's total.

    Raises BadInput, with all there are, if the model has no such variable.
    """
    named = config["calibration"].get("target_variable")
    totals = [name for name in trajectory.compartments if name.endswith("_total")]
    target = str(named or next((name for name in totals if name.startswith("I")), totals[0]))
    known = [*trajectory.compartments, *trajectory.transitions]
    if target not in known:
        raise BadInput(f"model: calibration.target_variable {target!r} is not among {', '.join(known)}")
    return target


def _series(trajectory: Trajectory, variable: str) -> Floats:
    source = trajectory.compartments if variable in trajectory.compartments else trajectory.transitions
    return np.asarray(source[variable], dtype=float)


def _totals(trajectory: Trajectory, target: str = "") -> _Totals:
    """The totals over all age groups, and the target variable if it is none of them."""
    both = {**trajectory.compartments, **trajectory.transitions}
    names = [name for name in both if name.endswith("_total") or name == target]
    dates = np.array(trajectory.dates, dtype="datetime64[D]")
    return _Totals(dates, {name: np.asarray(both[name], dtype=float) for name in names})


def _collect(kind: str, runs: Sequence[_Totals], weights: Floats) -> Trajectories:
    """Simulations stacked: each variable gets the shape (simulations, days)."""
    first = runs[0]
    return Trajectories(kind, first.dates, {name: _stack(runs, name) for name in first.variables}, weights)


def _stack(runs: Iterable[_Totals], name: str) -> Floats:
    return np.stack([run.variables[name] for run in runs])
