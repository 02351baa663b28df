"""Experiments and their made-up results: a calibrated weekly forecast of many locations, and a sweep.

The epidemics are stochastic, of whole people, in daily steps; hundreds of them take milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from epydrop_stages.contract.results import Observations, Posterior, Result, Trajectories
from epydrop_stages.contract.suite import TaskKey
from epydrop_stages.inputs.observations import by_period
from support.made_up_runs import MadeUpRun

ADMISSIONS = "Infected_to_Hospitalized_total"

Missing = Mapping[int, tuple[str, str, str]]

STATES = """
Alabama Alaska Arizona Arkansas California Colorado Connecticut Delaware District_of_Columbia Florida Georgia Hawaii
Idaho Illinois Indiana Iowa Kansas Kentucky Louisiana Maine Maryland Massachusetts Michigan Minnesota Mississippi
Missouri Montana Nebraska Nevada New_Hampshire New_Jersey New_Mexico New_York North_Carolina North_Dakota Ohio Oklahoma
Oregon Pennsylvania Puerto_Rico Rhode_Island South_Carolina South_Dakota Tennessee Texas Utah Vermont Virginia
Washington West_Virginia Wisconsin Wyoming
""".split()  # noqa: SIM905 - easier to read than a list of 52

MODEL = """
  model:
    compartments: [Susceptible, Infected, Hospitalized, Recovered]
    transitions:
      - {source: Susceptible, target: Infected, kind: mediated, params: [transmission_rate, Infected]}
      - {source: Infected, target: Hospitalized, kind: spontaneous, params: admission_rate}
      - {source: Infected, target: Recovered, kind: spontaneous, params: recovery_rate}
      - {source: Hospitalized, target: Recovered, kind: spontaneous, params: discharge_rate}
"""

FORECAST = """
exp_id: flu/2026w48
seed: 7
model: MODEL
  parameters: {recovery_rate: 0.25, discharge_rate: 0.14}
  simulation: {start_date: 2026-08-02, end_date: 2026-11-28}
  calibration:
    num_particles: 100
    target_variable: Infected_to_Hospitalized_total
    priors:
      transmission_rate: {distribution: uniform, low: 0.2, high: 0.5}
      admission_rate: {distribution: uniform, low: 0.0005, high: 0.004}
  projection: {simulation: {end_date: 2026-12-26}}
data:
  file: admissions.csv
  fitting_window: {start_date: 2026-08-08, end_date: 2026-11-28}
SCENARIOS
tasks: {populations: [LOCATIONS], chains: CHAINS}
outputs: {TABLES hub: {reference_date: 2026-12-05 SCENARIO}}
"""

SWEEP = """
exp_id: sweeps/interventions
seed: 7
model:
  model: {type: SIR}
  population: {size: 100000}
  parameters: {transmission_rate: 0.35, recovery_rate: 0.2}
  simulation: {start_date: 2026-08-02, end_date: 2027-02-28, n_simulations: 20}
  interventions:
    - {layer: all, start_date: 2026-10-15, end_date: 2027-01-31, reduction: 1.0}
tasks:
  chains: CHAINS
  grid: {interventions.0.reduction: [1.0, 0.9, 0.8, 0.7, 0.6]}
  lhs: {n: POINTS, ranges: {parameters.transmission_rate: [0.25, 0.5], parameters.recovery_rate: [0.15, 0.25]}}
"""


def forecast_run(
    folder: Path,
    locations: Sequence[str] = STATES,
    *,
    chains: int = 2,
    scenarios: Sequence[str] = (),
    simulations: int = 100,
    missing: Missing | None = None,
    trajectories: bool = False,
) -> MadeUpRun:
    """A calibrated weekly forecast, four weeks of it held back; some locations have a flaw each."""
    text = (
        FORECAST.replace("model: MODEL", f"model:{MODEL}")
        .replace("LOCATIONS", ", ".join(f"United_States_{name}" for name in locations))
        .replace("CHAINS", str(chains))
        .replace("TABLES", "" if trajectories else "trajectories: false,")
        .replace("SCENARIOS", _scenarios(scenarios))
        .replace("SCENARIO", f", scenario: {scenarios[0]}" if scenarios else "")
    )
    keys = [TaskKey(f"United_States_{name}", {}, chain) for name in locations for chain in range(chains)]
    return MadeUpRun(folder, text, keys, _Forecasts(list(locations), scenarios or ("",), simulations), missing or {})


def sweep_run(
    folder: Path,
    *,
    points: int = 50,
    chains: int = 4,
    simulations: int = 20,
    missing: Missing | None = None,
) -> MadeUpRun:
    """``points`` x 5 points of a sweep, ``chains`` tasks each."""
    text = SWEEP.replace("POINTS", str(points)).replace("CHAINS", str(chains))
    return MadeUpRun(folder, text, list(_sweep_keys(points, chains)), _Sweep(simulations), missing or {})


def _scenarios(names: Sequence[str]) -> str:
    if not names:
        return ""
    return "scenarios: {" + ", ".join(f"{name}: {{}}" for name in names) + "}"


def _sweep_keys(points: int, chains: int) -> Iterator[TaskKey]:
    rng = np.random.default_rng(3)
    rates = [(float(rng.uniform(0.25, 0.5)), float(rng.uniform(0.15, 0.25))) for _ in range(points)]
    for reduction in (1.0, 0.9, 0.8, 0.7, 0.6):
        for transmission, recovery in rates:
            parameters = {
                "interventions.0.reduction": reduction,
                "parameters.transmission_rate": transmission,
                "parameters.recovery_rate": recovery,
            }
            for chain in range(chains):
                yield TaskKey("population", parameters, chain)


# -- results -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Forecasts:
    """Results of a calibrated forecast; what happened follows from the location, so that all chains agree on it."""

    locations: list[str]
    scenarios: Sequence[str]
    simulations: int

    def __call__(self, key: TaskKey, rng: np.random.Generator) -> Result:
        place = self.locations.index(key.location.removeprefix("United_States_"))
        truth = np.random.default_rng(1000 + place)
        people = float(round(truth.lognormal(15.2, 0.9)))
        rate, admission = truth.uniform(0.29, 0.345), truth.uniform(0.0012, 0.0025)
        spread, shift = 0.004, 0.0
        if place % 17 == 2:  # chains that disagree
            shift = 0.012 * (key.chain - 0.5)
        if place % 17 == 9:  # at the bound of its prior
            admission = 0.0039
        days = np.arange("2026-08-02", "2026-12-27", dtype="datetime64[D]")
        fit = days <= np.datetime64("2026-11-28")
        posterior = Posterior(
            {
                "transmission_rate": np.clip(rng.normal(rate + shift, spread, self.simulations), 0.2, 0.5),
                "admission_rate": np.clip(rng.normal(admission, 0.00012, self.simulations), 0.0005, 0.004),
            },
            _weights(rng, self.simulations),
            np.sort(rng.gamma(8, 20, self.simulations)),
        )
        fitted, admissions = posterior.values["transmission_rate"], posterior.values["admission_rate"]
        simulated = epidemics(people, Rates(fitted, admissions), rng, len(days))
        seen = {name: values[:, fit] for name, values in simulated.items()}
        parts = [Trajectories("calibration", days[fit], seen, posterior.weights)]
        equal = np.full(self.simulations, 1 / self.simulations)
        for number, scenario in enumerate(self.scenarios):
            changed = Rates(fitted * (1 - 0.12 * number), admissions, before=fitted, change=int(fit.sum()))
            parts.append(Trajectories("projection", days, epidemics(people, changed, rng, len(days)), equal, scenario))
        return Result(tuple(parts), people, 1.0, posterior, _observed(people, rate, admission, truth, days))


def _observed(people: float, rate: float, admission: float, truth: np.random.Generator, days: Any) -> Observations:
    """Weekly admissions with noise, the last four weeks held back."""
    real = epidemics(people, Rates(np.array([rate]), np.array([admission])), truth, len(days))
    ends = np.arange("2026-08-08", "2026-12-27", 7, dtype="datetime64[D]")
    nothing = Observations(ADMISSIONS, "week", ends, np.zeros(len(ends)), np.ones(len(ends), dtype=bool))
    dates, values = by_period(nothing, days, real[ADMISSIONS])
    noisy = truth.poisson(values[0] * truth.gamma(60, 1 / 60, len(dates)))
    return Observations(ADMISSIONS, "week", dates, noisy.astype(float), dates <= np.datetime64("2026-11-28"))


@dataclass(frozen=True)
class _Sweep:
    """Plain simulations."""

    simulations: int

    def __call__(self, key: TaskKey, rng: np.random.Generator) -> Result:
        parameters = key.parameters
        days = np.arange("2026-08-02", "2027-03-01", dtype="datetime64[D]")
        rate = parameters["parameters.transmission_rate"] * parameters["interventions.0.reduction"] ** 0.5
        rates = Rates(
            np.full(self.simulations, rate), np.zeros(self.simulations), parameters["parameters.recovery_rate"]
        )
        found = epidemics(100_000.0, rates, rng, len(days))
        kept = ("Susceptible_total", "Infected_total", "Recovered_total")
        moved = ("Susceptible_to_Infected_total", "Infected_to_Recovered_total")
        equal = np.full(self.simulations, 1 / self.simulations)
        simulated = {name: found[name] for name in (*kept, *moved)}
        return Result((Trajectories("simulation", days, simulated, equal),), 100_000.0, 1.0)


def _weights(rng: np.random.Generator, count: int) -> Any:
    weights = rng.gamma(6, 1, count)
    return weights / weights.sum()


@dataclass(frozen=True)
class Rates:
    """Rates a day of each epidemic: infection and admission of shape (runs,); ``before`` holds until day ``change``."""

    infection: Any
    admission: Any
    recovery: float = 0.25
    before: Any = None
    change: int = 0


def epidemics(people: float, rates: Rates, rng: np.random.Generator, days: int) -> dict[str, Any]:
    """Variable -> shape (runs, days): susceptible, infected, hospitalized, recovered, and who moved between them."""
    runs = len(rates.infection)
    out_rate = rates.recovery + rates.admission
    ill = np.full(runs, np.ceil(people * 2e-5))
    healthy, admitted, recovered = people - ill, np.zeros(runs), np.zeros(runs)
    kept: dict[str, list[Any]] = {}
    for day in range(days):
        rate = rates.before if day < rates.change else rates.infection
        infected = rng.binomial(healthy.astype(int), 1 - np.exp(-rate * ill / people))
        out = rng.binomial(ill.astype(int), 1 - np.exp(-out_rate))
        hospital = rng.binomial(out, rates.admission / out_rate)
        home = rng.binomial(admitted.astype(int), 1 - np.exp(-0.14))
        healthy, ill = healthy - infected, ill + infected - out
        admitted, recovered = admitted + hospital - home, recovered + out - hospital + home
        now = {
            "Susceptible_total": healthy,
            "Infected_total": ill,
            "Hospitalized_total": admitted,
            "Recovered_total": recovered,
            "Susceptible_to_Infected_total": infected,
            ADMISSIONS: hospital,
            "Infected_to_Recovered_total": out - hospital,
            "Hospitalized_to_Recovered_total": home,
        }
        for name, value in now.items():
            kept.setdefault(name, []).append(value.astype(float))
    return {name: np.stack(values, axis=1) for name, values in kept.items()}
