"""Whole runs whose results are made up in milliseconds, on disk as builder and runner would have left them.

Epidemics follow a stochastic SIR-H model in daily steps; what is calibrated, held back or missing is up to the caller.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from epydrop.documents import to_json
from epydrop.experiment import read_experiment
from epydrop.indices import Indices
from epydrop.names import (
    RESOLVED_EXPERIMENT,
    Stage,
    error_name,
    manifest_name,
    orders_name,
    result_name,
    tasks_name,
    telemetry_name,
)
from epydrop.orders import Orders, Resources
from epydrop.ports import ObjectStore
from epydrop.records import ErrorRecord, Manifest, Telemetry
from epydrop.stores import open_object_store
from epydrop_stages.artifacts import Meta, write_artifact
from epydrop_stages.observations import Observations, by_period
from epydrop_stages.results import Posterior, Result, Trajectories
from epydrop_stages.signatures import SigningKeys
from epydrop_stages.suites import TaskKey, TaskLine
from epydrop_stages.task import main

RUN_ID = "20261202-141500-52aca7ed"
INPUTS, RESULTS, OUTPUTS = "builder-artifacts/", "runner-artifacts/", "outputs/20261202-160000/"
KEYS = SigningKeys({"made-up": b"a key that signs what is made up"})
ADMISSIONS = "Infected_to_Hospitalized_total"

STATES = [
    "Alabama",
    "Alaska",
    "Arizona",
    "Arkansas",
    "California",
    "Colorado",
    "Connecticut",
    "Delaware",
    "District_of_Columbia",
    "Florida",
    "Georgia",
    "Hawaii",
    "Idaho",
    "Illinois",
    "Indiana",
    "Iowa",
    "Kansas",
    "Kentucky",
    "Louisiana",
    "Maine",
    "Maryland",
    "Massachusetts",
    "Michigan",
    "Minnesota",
    "Mississippi",
    "Missouri",
    "Montana",
    "Nebraska",
    "Nevada",
    "New_Hampshire",
    "New_Jersey",
    "New_Mexico",
    "New_York",
    "North_Carolina",
    "North_Dakota",
    "Ohio",
    "Oklahoma",
    "Oregon",
    "Pennsylvania",
    "Puerto_Rico",
    "Rhode_Island",
    "South_Carolina",
    "South_Dakota",
    "Tennessee",
    "Texas",
    "Utah",
    "Vermont",
    "Virginia",
    "Washington",
    "West_Virginia",
    "Wisconsin",
    "Wyoming",
]

Compute = Callable[[TaskKey, np.random.Generator], Result]


@dataclass
class MadeUpRun:
    """A run on disk that waits for its output stage."""

    folder: Path
    text: str
    keys: Sequence[TaskKey]
    compute: Compute
    missing: Mapping[int, tuple[str, str, str]] = field(default_factory=dict)  # index -> cause, type, message
    memory_mib: int = 8192

    @property
    def store(self) -> ObjectStore:
        return open_object_store(self.folder.absolute().as_uri() + "/")

    def write(self) -> MadeUpRun:
        """Everything that the output stage reads."""
        store = self.store
        experiment = read_experiment(self.text.encode(), "experiment.yaml", "made-up")
        store.write("dropped/experiment.yaml", self.text.encode())
        store.write(RESOLVED_EXPERIMENT, experiment.to_yaml())
        lines = [TaskLine(index, key, key.seed(7)) for index, key in enumerate(self.keys)]
        self._write_manifest(store, lines)
        for line in lines:
            if line.index in self.missing:
                self._fail(store, line.index)
                continue
            result = self.compute(line.key, np.random.default_rng(line.seed))
            meta = Meta("result", RUN_ID, Stage.RUNNER, line.index)
            write_artifact(store, result_name(RESULTS, line.index), result, meta, KEYS)
        self._write_telemetry(store)
        self.order(1)
        return self

    def order(self, attempt: int) -> None:
        """The orders of an attempt of the output stage."""
        causes: dict[str, list[int]] = {}
        for index, (cause, _, _) in self.missing.items():
            causes.setdefault(cause, []).append(index)
        orders = Orders(
            run_id=RUN_ID,
            exp_id=read_experiment(self.text.encode(), "experiment.yaml", "made-up").exp_id,
            stage=Stage.OUTPUT,
            attempt=attempt,
            indices=Indices.below(1),
            resources=Resources(2000, self.memory_mib, 7200, 32768, image="sha256:" + "0" * 64),
            parallelism=1,
            inputs=INPUTS,
            results=RESULTS,
            outputs=OUTPUTS if attempt == 1 else OUTPUTS.replace("/20", f"/attempt-{attempt}-20"),
            missing=Indices.of(self.missing),
            causes={cause: Indices.of(indices) for cause, indices in causes.items()},
        )
        self.store.write(orders_name(Stage.OUTPUT, attempt), to_json(orders))

    def environment(self, cores: int = 0, attempt: int = 1) -> dict[str, str]:
        """What a process of the output stage is told."""
        return {
            "EPYDROP_RUN_URL": self.store.url,
            "EPYDROP_ATTEMPT": str(attempt),
            "BATCH_TASK_INDEX": "0",
            "EPYDROP_SIGNING_KEY": json.dumps({name: key.decode() for name, key in KEYS.by_id.items()}),
            **({"EPYDROP_CORES": str(cores)} if cores else {}),
        }

    def publish(self, cores: int = 1) -> int:
        """Runs the output stage in this process; its exit code."""
        return main(["output"], self.environment(cores))

    def output(self, name: str) -> bytes:
        return self.store.read(OUTPUTS + name)

    def _write_manifest(self, store: ObjectStore, lines: Sequence[TaskLine]) -> None:
        tasks = zstandard.ZstdCompressor().compress(b"".join(line.to_json() for line in lines))
        store.write(tasks_name(INPUTS), tasks)
        locations: dict[str, tuple[int, int]] = {}
        for line in lines:
            first, _ = locations.get(line.key.location, (line.index, 0))
            locations[line.key.location] = (first, line.index + 1)
        digests = {tasks_name(INPUTS): hashlib.sha256(tasks).hexdigest()}
        versions = {"epydemix": "1.5.0", "numpy": np.__version__}
        store.write(manifest_name(INPUTS), to_json(Manifest(RUN_ID, len(lines), locations, digests, versions)))

    def _write_telemetry(self, store: ObjectStore, parallelism: int = 40) -> None:
        """As if so many tasks had run at a time, a hundred seconds each."""
        rng = np.random.default_rng(1)
        free = np.full(parallelism, 1_796_220_900.0) + 70 + rng.uniform(0, 30, parallelism)
        self._tell(store, Stage.BUILDER, 0, 1_796_220_900.0, 41.0)
        for index in range(len(self.keys)):
            slot = int(free.argmin())
            wall = float(rng.gamma(12, 9))
            if index not in self.missing:
                self._tell(store, Stage.RUNNER, index, float(free[slot]), wall)
            free[slot] += wall + rng.uniform(1, 4)

    def _tell(self, store: ObjectStore, stage: Stage, index: int, started: float, wall: float) -> None:
        rng = np.random.default_rng(index)
        cpu, peak = wall * rng.uniform(0.8, 0.99), rng.normal(640, 60)
        record = Telemetry(RUN_ID, stage, 1, index, 0, started, wall, cpu, peak, 10_000, 200_000, "made-up")
        store.write(telemetry_name(stage, 1, index, 0), to_json(record))

    def _fail(self, store: ObjectStore, index: int) -> None:
        cause, kind, message = self.missing[index]
        if not kind:
            return
        code = 137 if cause == "out_of_memory" else 1
        trace = hashlib.sha256(kind.encode()).hexdigest()[:12]
        record = ErrorRecord(
            RUN_ID, Stage.RUNNER, 1, index, 0, code, kind, message, f"Traceback ...\n{kind}: {message}\n", trace,
            started=1_796_221_000.0 + 7 * index % 400, wall_seconds=20.0,
        )  # fmt: skip
        store.write(error_name(Stage.RUNNER, 1, index, 0), to_json(record))


# -- experiments -------------------------------------------------------------------------------

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
    missing: Mapping[int, tuple[str, str, str]] | None = None,
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
    missing: Mapping[int, tuple[str, str, str]] | None = None,
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
        if place % 17 == 3:  # chains that disagree
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
        simulated = epidemics(
            people, posterior.values["transmission_rate"], posterior.values["admission_rate"], rng, len(days)
        )
        parts = [
            Trajectories("calibration", days[fit], {n: v[:, fit] for n, v in simulated.items()}, posterior.weights)
        ]
        equal = np.full(self.simulations, 1 / self.simulations)
        for number, scenario in enumerate(self.scenarios):
            rates = posterior.values["transmission_rate"] * (1 - 0.12 * number)
            later = epidemics(people, rates, posterior.values["admission_rate"], rng, len(days), after=int(fit.sum()),
                              before=posterior.values["transmission_rate"])  # fmt: skip
            parts.append(Trajectories("projection", days, later, equal, scenario))
        return Result(tuple(parts), people, 1.0, posterior, _observed(people, rate, admission, truth, days))


def _observed(people: float, rate: float, admission: float, truth: np.random.Generator, days: Any) -> Observations:
    """Weekly admissions with noise, the last four weeks held back."""
    real = epidemics(people, np.array([rate]), np.array([admission]), truth, len(days))
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
        rates = np.full(self.simulations, parameters["parameters.transmission_rate"])
        found = epidemics(100_000.0, rates * parameters["interventions.0.reduction"] ** 0.5, np.zeros(self.simulations),
                          rng, len(days), recovery=parameters["parameters.recovery_rate"])  # fmt: skip
        kept = ("Susceptible_total", "Infected_total", "Recovered_total")
        moved = ("Susceptible_to_Infected_total", "Infected_to_Recovered_total")
        equal = np.full(self.simulations, 1 / self.simulations)
        return Result(
            (Trajectories("simulation", days, {n: found[n] for n in (*kept, *moved)}, equal),), 100_000.0, 1.0
        )


def _weights(rng: np.random.Generator, count: int) -> Any:
    weights = rng.gamma(6, 1, count)
    return weights / weights.sum()


def epidemics(
    people: float,
    rates: Any,
    admissions: Any,
    rng: np.random.Generator,
    days: int,
    *,
    recovery: float = 0.25,
    after: int = 0,
    before: Any = None,
) -> dict[str, Any]:
    """Stochastic SIR-H epidemics side by side, whole people; from day ``after`` on with ``rates``, until then ``before``."""
    runs = len(rates)
    healthy, ill, admitted, recovered = (
        np.full(runs, people),
        np.full(runs, np.ceil(people * 2e-5)),
        np.zeros(runs),
        np.zeros(runs),
    )
    healthy = healthy - ill
    kept: dict[str, list[Any]] = {}
    for day in range(days):
        rate = before if before is not None and day < after else rates
        infected = rng.binomial(healthy.astype(int), 1 - np.exp(-rate * ill / people))
        out = rng.binomial(ill.astype(int), 1 - np.exp(-(recovery + admissions)))
        hospital = rng.binomial(out, admissions / (recovery + admissions))
        home = rng.binomial(admitted.astype(int), 1 - np.exp(-0.14))
        healthy, ill = healthy - infected, ill + infected - out
        admitted, recovered = admitted + hospital - home, recovered + out - hospital + home
        for name, value in {
            "Susceptible_total": healthy, "Infected_total": ill, "Hospitalized_total": admitted, "Recovered_total": recovered,
            "Susceptible_to_Infected_total": infected, ADMISSIONS: hospital,
            "Infected_to_Recovered_total": out - hospital, "Hospitalized_to_Recovered_total": home,
        }.items():  # fmt: skip
            kept.setdefault(name, []).append(value.astype(float))
    return {name: np.stack(values, axis=1) for name, values in kept.items()}
