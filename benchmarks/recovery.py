"""Are known parameters recovered? How often a forecast's intervals cover the truth, on simulated data.

Simulation-based calibration (Cook, Gelman, Rubin 2006; Talts et al. 2018): parameters are drawn from the prior, weekly
admissions are simulated with them, and the suite calibrates to the first weeks as in any experiment, through an
experiment file and a data file. If posteriors and forecasts are correct, a 50 % interval covers the truth in half of
all repetitions. That also holds, trivially, if nothing is learned, so the width of the 90 % intervals is printed too.
Approximate Bayesian computation is exact only at zero tolerance. Otherwise it accepts simulations that are farther from
the data than chance would put them, and its intervals may cover too often.

    python benchmarks/recovery.py                     # 100 repetitions, about ten minutes of two cores
    python benchmarks/recovery.py --replicates 400 --generations 1 2 4    # the first generation is the prior
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from epydemix.cli.config import build_priors

from epydrop.experiment import read_experiment
from epydrop_stages.contract.results import Floats, Result
from epydrop_stages.inputs.observations import by_period
from epydrop_stages.outputs.weighted import weighted_quantiles
from epydrop_stages.suites.epydemix.compute import run_work
from epydrop_stages.suites.epydemix.model import Work, prepare
from epydrop_stages.suites.epydemix.sources import Sources
from epydrop_stages.suites.epydemix.tasks import points

LEVELS = (0.05, 0.25, 0.75, 0.95)
ADMISSIONS = "Infected_to_Hospitalized_total"
FIRST, FITTED, HELD_BACK = np.datetime64("2026-10-10"), 8, 4  # the first Saturday; weeks
WEEKS = FIRST + 7 * np.arange(FITTED + HELD_BACK)

EXPERIMENT: dict[str, Any] = {
    "model": {
        "model": {"type": "SEIR", "outcome": "hospitalization"},
        "population": {"size": 200_000},
        "parameters": {"incubation_rate": 0.5, "recovery_rate": 0.35, "hospitalization_recovery_rate": 0.2},
        "simulation": {"start_date": "2026-10-04"},
        "initial_conditions": {"Susceptible": 0.897, "Infected": 0.003, "Recovered": 0.1},
        "calibration": {
            "target_variable": ADMISSIONS,
            "epsilon_quantile_level": 0.4,
            "priors": {
                "transmission_rate": {"distribution": "uniform", "low": 0.4, "high": 0.8},
                "hospitalization_rate": {"distribution": "uniform", "low": 0.01, "high": 0.05},
            },
        },
        "projection": {"n_simulations": 200, "simulation": {"end_date": str(WEEKS[-1])}},
    },
    "data": {
        "file": "admissions.csv",
        "location_column": None,
        "fitting_window": {"start_date": str(WEEKS[0]), "end_date": str(WEEKS[FITTED - 1])},
    },
}


@dataclass(frozen=True)
class Size:
    """The size of a calibration."""

    particles: int
    generations: int


def work_of(admissions: Floats, size: Size) -> Work:
    """The task's input as the builder makes it, from an experiment file and a data file."""
    document = json.loads(json.dumps(EXPERIMENT))
    document["model"]["calibration"] |= {"num_particles": size.particles, "num_generations": size.generations}
    experiment = read_experiment(json.dumps(document).encode(), "recovery.yaml", "recovery")
    with tempfile.TemporaryDirectory() as folder:
        rows = "".join(f"{day},{count:.0f}\n" for day, count in zip(WEEKS, admissions, strict=True))
        Path(folder, "admissions.csv").write_text(f"date,value\n{rows}", encoding="utf-8")
        sources = Sources(experiment, Path(folder))
        sources.read_data()
        return sources.work(next(points(experiment)))


def truth(number: int) -> tuple[dict[str, float], Floats]:
    """Parameters drawn from the prior, and the weekly admissions of one simulation with them, shape (weeks,)."""
    rng = np.random.default_rng([number, 1])
    priors = build_priors(EXPERIMENT["model"]["calibration"])
    drawn = {name: float(prior.rvs(random_state=rng)) for name, prior in priors.items()}
    blank = work_of(np.zeros(len(WEEKS)), Size(1, 1))
    config = {**blank.config, "simulation": {**blank.config["simulation"], "end_date": str(WEEKS[-1])}}
    trajectory = prepare(replace(blank, config=config), Path()).simulator()(drawn, rng)
    assert blank.observed is not None  # noqa: S101 - the experiment has data
    days = np.array(trajectory.dates, dtype="datetime64[D]")
    return drawn, by_period(blank.observed, days, trajectory.transitions[ADMISSIONS])[1]


@dataclass(frozen=True)
class Hit:
    """Whether the 50 % and 90 % intervals cover the truth, and the width of the latter relative to ``scale``."""

    half: bool
    ninety: bool
    width: float

    @classmethod
    def of(cls, values: Floats, weights: Floats, true: float, scale: float) -> Hit:
        """From weighted draws: ``values`` and ``weights`` have shape (draws,)."""
        low, lower, upper, high = weighted_quantiles(values[:, np.newaxis], weights, LEVELS)[:, 0]
        return cls(bool(lower <= true <= upper), bool(low <= true <= high), float((high - low) / scale))


def hits(number: int, size: Size) -> tuple[dict[str, Hit], float]:
    """The coverage of one calibration, by quantity, and its tolerance relative to the mean weekly admissions."""
    drawn, admissions = truth(number)
    result = run_work(work_of(admissions, size), number)
    posterior, priors = result.posterior, build_priors(EXPERIMENT["model"]["calibration"])
    assert posterior is not None  # noqa: S101 - it was calibrated
    found = {
        name: Hit.of(values, posterior.weights, drawn[name], float(np.ptp(priors[name].ppf([LEVELS[0], LEVELS[-1]]))))
        for name, values in posterior.values.items()
    }
    for week, values in enumerate(_weeks(result)):
        true = float(admissions[FITTED + week])
        found[f"admissions, week {week + 1}"] = Hit.of(values, result.trajectories[-1].weights, true, max(true, 1.0))
    return found, float(posterior.distances.max() / max(admissions[:FITTED].mean(), 1.0))


def _weeks(result: Result) -> list[Floats]:
    """The projected admissions of each held-back week, shape (simulations,)."""
    projection = result.trajectories[-1]
    assert result.observed is not None  # noqa: S101 - it was calibrated
    _, values = by_period(result.observed, projection.dates, projection.variables[ADMISSIONS])
    return [values[:, FITTED + week] for week in range(HELD_BACK)]


def share(held: Sequence[bool]) -> str:
    """The share in per cent, with its binomial standard error."""
    part, count = sum(held) / len(held), len(held)
    return f"{100 * part:6.1f} ± {100 * math.sqrt(part * (1 - part) / count):.1f}"


def report(rows: Sequence[tuple[dict[str, Hit], float]], size: Size, seconds: float) -> None:
    """Prints the table of one size."""
    tolerance = np.median([tolerance for _, tolerance in rows])
    print(
        f"\n{len(rows)} repetitions, {size.particles} particles, {size.generations} generations; tolerance "
        f"{100 * tolerance:.0f} % of the mean week (median); {seconds:.0f} s"
    )
    print(f"{'covered, in per cent':<24}{'50 % interval':>16}{'90 % interval':>16}{'width of the latter, median':>42}")
    for name in rows[0][0]:
        same = [found[name] for found, _ in rows]
        width, of = np.median([hit.width for hit in same]), "the truth" if "," in name else "the prior's"
        halves, nineties = share([hit.half for hit in same]), share([hit.ninety for hit in same])
        print(f"{name:<24}{halves:>16}{nineties:>16}{100 * width:>22.0f} % of {of}", flush=True)


def main() -> None:
    """Prints one table for each number of generations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--particles", type=int, default=100)
    parser.add_argument("--generations", type=int, nargs="+", default=[2])
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as workers:
        for generations in arguments.generations:
            size, began = Size(arguments.particles, generations), time.time()
            rows = workers.map(partial(hits, size=size), range(arguments.replicates), chunksize=1)
            report(rows, size, time.time() - began)


if __name__ == "__main__":
    main()
