"""What the report keeps of each point after its trajectories are gone: a few numbers, and curves for some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from epydemix.cli.config import build_priors

from epydrop_stages.pools import Pool, weighted_quantiles
from epydrop_stages.results import Days, Floats, Posterior, Trajectories
from epydrop_stages.suites.epydemix.tasks import Config
from epydrop_stages.suites.epydemix.variables import structure_of

LEVELS = (0.025, 0.25, 0.5, 0.75, 0.975)
_INTERVAL = (0.5, 0.025, 0.975)


@dataclass(frozen=True)
class Interval:
    """A median and the interval that holds 95 %."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Fan:
    """Curves of one variable: ``bands`` has the shape (5 levels, days); ``observed`` lies on the first dates."""

    variable: str
    unit: str
    dates: Days
    bands: Floats
    observed: Floats | None = None


@dataclass(frozen=True)
class Marginal:
    """One parameter's posterior. ``prior`` has the shape (2, places): where, and how dense; None if it was derived."""

    name: str
    values: Floats
    weights: Floats
    interval: Interval
    prior: Floats | None = None


@dataclass(frozen=True)
class PointSummary:
    """One point. ``attack`` is the share of the population that was infected, ``peak`` counts infectious people."""

    location: str
    parameters: Mapping[str, Any]
    attack: Interval
    peak: Interval
    peak_day: np.datetime64
    derived: Mapping[str, float]
    fans: Sequence[Fan] = ()
    marginals: Sequence[Marginal] = ()

    @property
    def label(self) -> str:
        """Location and parameters, short."""
        values = ", ".join(f"{path.rpartition('.')[2]} {short(value)}" for path, value in self.parameters.items())
        return f"{self.location}: {values}" if values else self.location


def short(value: Any) -> str:
    """A value as people would write it."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def summarise(pool: Pool, config: Config, *, with_curves: bool) -> PointSummary:
    """The summary of a point, of its projection if there is one."""
    parts = list(pool.trajectories())
    main = parts[-1]
    structure = structure_of(config)
    infectious = _sum(main, [f"{name}_total" for name in structure.infectious])
    infections = _sum(main, [f"{name}_total" for name in structure.infections])
    attack = infections.sum(axis=1) / pool.first.population
    peaks = main.dates[infectious.argmax(axis=1)].astype("datetime64[D]").astype(float)
    posterior = pool.posterior()
    fixed = {name: value for name, value in config.get("parameters", {}).items() if isinstance(value, int | float)}
    return PointSummary(
        location=pool.location,
        parameters=pool.parameters,
        attack=interval(attack, main.weights),
        peak=interval(infectious.max(axis=1), main.weights),
        peak_day=np.datetime64(round(interval(peaks, main.weights).median), "D"),
        derived={} if posterior else {name: float(value) for name, value in derived(config, fixed, pool).items()},
        fans=_fans(pool, main, structure.infectious, infectious, infections) if with_curves else (),
        marginals=_marginals(pool, config, fixed, posterior) if posterior else (),
    )


def interval(values: Floats, weights: Floats) -> Interval:
    """The weighted median and 95 % interval of single numbers."""
    median, low, high = weighted_quantiles(values[:, np.newaxis], weights, _INTERVAL)[:, 0].tolist()
    return Interval(median, low, high)


def derived(config: Config, parameters: Mapping[str, Any], pool: Pool) -> dict[str, Any]:
    """R0 and the infectious period, where the model is one of which they are known.

    In SIR, SEIR and SIS the force of infection on group i is transmission_rate * sum_j C_ij I_j / N_j. With the mean
    infectious period 1 / recovery_rate, the next-generation matrix (van den Driessche and Watmough 2002) has the
    spectral radius transmission_rate / recovery_rate * radius(C); radius(C) is 1 in a population without ages.
    """
    model = config["model"]
    if model.get("type") not in ("SIR", "SEIR", "SIS") or model.get("vaccination"):
        return {}
    if not {"transmission_rate", "recovery_rate"} <= parameters.keys():
        return {}
    rate, recovery = (np.asarray(parameters[name], dtype=float) for name in ("transmission_rate", "recovery_rate"))
    if np.any(recovery <= 0):
        return {}
    return {"R0": rate / recovery * pool.first.contacts, "infectious period (days)": 1.0 / recovery}


def _sum(part: Trajectories, names: Sequence[str]) -> Floats:
    return np.asarray(sum(part.variables[name] for name in names), dtype=float)


def _fans(pool: Pool, main: Trajectories, agents: Sequence[str], infectious: Floats, infections: Floats) -> list[Fan]:
    """What was calibrated, else the infectious; and the new infections."""
    observed = pool.first.observed
    if observed and observed.variable in main.variables:
        name, values = observed.variable, main.variables[observed.variable]
    else:
        name, values = " + ".join(agents), infectious
    name = name.removesuffix("_total").replace("_", " ")
    return [
        Fan(
            name,
            "people",
            main.dates,
            weighted_quantiles(values, main.weights, LEVELS),
            observed.values if observed else None,
        ),
        Fan("new infections", "people per day", main.dates, weighted_quantiles(infections, main.weights, LEVELS)),
    ]


def _marginals(pool: Pool, config: Config, fixed: Mapping[str, float], posterior: Posterior) -> list[Marginal]:
    """Every calibrated parameter with its prior, and what follows from them together."""
    priors = build_priors(config["calibration"])
    weights = posterior.weights
    found = []
    for name, values in posterior.values.items():
        places = np.linspace(*_span(values, priors[name]), 200)
        density = np.vstack([places, priors[name].pdf(places)])
        found.append(Marginal(name, values, weights, interval(values, weights), density))
    for name, values in derived(config, {**fixed, **posterior.values}, pool).items():
        if not np.ndim(values):
            continue  # all that it follows from is fixed
        found.append(Marginal(name, values, weights, interval(values, weights)))
    return found


def _span(values: Floats, prior: Any) -> tuple[float, float]:
    """Where to look at a parameter: all of its prior, if that is bounded, else what holds most of both."""
    low, high = prior.support()
    low = low if np.isfinite(low) else min(values.min(), prior.ppf(0.005))
    high = high if np.isfinite(high) else max(values.max(), prior.ppf(0.995))
    return float(low), float(high)
