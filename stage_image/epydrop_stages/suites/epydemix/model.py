"""Builds a model that is ready to run from a configuration and a stored population; downloads nothing."""

from __future__ import annotations

import contextlib
import copy
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from epydemix.cli.config import _load_schedule, build_initial_conditions, build_model_from_config
from epydemix.model.epimodel import EpiModel
from epydemix.model.predefined_models import SUPPORTED_MODELS
from epydemix.model.simulation_output import Trajectory
from epydemix.population.population import Population
from epydemix.utils.utils import (
    apply_initial_conditions,
    apply_overrides,
    compute_simulation_dates,
    create_definitions,
    format_simulation_output,
)

from epydrop_stages.contract.results import Days, Floats, Observations
from epydrop_stages.suites.epydemix.stepping import Rng, Stepper
from epydrop_stages.suites.epydemix.tasks import Config
from epydrop_stages.suites.epydemix.windows import whole_days

Simulator = Callable[[Mapping[str, Any], Rng], Trajectory]


@dataclass(frozen=True)
class Work:
    """Everything that a task needs, so that it reads no file and no network.

    ``files``: name -> content of the files that the configuration names. ``observed``: the observations of the
    location from the experiment's ``data``; None if the configuration itself names its observations.
    """

    config: Config
    population: Population | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    observed: Observations | None = None
    scenarios: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """A model that is ready to run, with what all its simulations share. ``dt`` in days."""

    model: EpiModel
    initial: dict[str, Floats] | None
    start: str
    end: str
    dt: float

    @property
    def size(self) -> float:
        """Population in people."""
        return float(np.sum(self.model.population.Nk))

    @property
    def dates(self) -> Days:
        """Start of each time step, shape (steps,)."""
        return np.asarray(compute_simulation_dates(self.start, self.end, dt=self.dt))

    @property
    def contacts(self) -> float:
        """Spectral radius of the contact matrix, summed over all layers (contacts per day)."""
        overall = np.sum(list(self.model.population.contact_matrices.values()), axis=0)
        return float(np.max(np.abs(np.linalg.eigvals(overall))))

    def simulator(self) -> Simulator:
        """A function (parameters, generator) -> Trajectory in days; computes once what all simulations share."""
        model, groups = self.model, len(self.model.population.Nk)
        dates = self.dates
        model.compute_contact_reductions(dates)
        stepper = Stepper(model, [model.Cs[date] for date in dates], self.dt)
        initial = apply_initial_conditions(model, self.initial or model.create_default_initial_conditions())
        by_day = _Days(dates) if self.dt <= 1 else None

        def run(parameters: Mapping[str, Any], rng: Rng) -> Trajectory:
            model.parameters.update(parameters)
            definitions = create_definitions(model.parameters, len(dates), groups)
            definitions = apply_overrides(definitions, model.overrides, dates)
            trajectory = self._trajectory(dates, definitions, *stepper.run(definitions, initial, rng))
            if by_day:
                return by_day.of(trajectory)
            trajectory.resample("D")
            return trajectory

        return run

    def _trajectory(
        self, dates: Days, definitions: Mapping[str, Floats], compartments: Floats, transitions: Floats
    ) -> Trajectory:
        """The result in the form of epydemix's ``simulate``."""
        model = self.model
        places, moves = model.compartments_idx, model.transitions_idx
        named = format_simulation_output(compartments, transitions, places, moves, model.population.Nk_names)
        return Trajectory(**named, dates=dates, compartment_idx=places, transitions_idx=moves, parameters=definitions)


class _Days:
    """Aggregates steps of at most a day to days: the result of ``Trajectory.resample("D")`` at a tenth of its cost.

    A compartment has the value at the end of the day, a transition the sum over the day.
    """

    def __init__(self, dates: Days) -> None:
        self._days, self._starts = np.unique(dates.astype("datetime64[D]"), return_index=True)
        self._ends = np.append(self._starts[1:], len(dates)) - 1

    def of(self, trajectory: Trajectory) -> Trajectory:
        """The same simulation in days."""
        return replace(
            trajectory,
            compartments={name: values[self._ends] for name, values in trajectory.compartments.items()},
            transitions={
                name: np.add.reduceat(values, self._starts) for name, values in trajectory.transitions.items()
            },
            dates=list(self._days),
        )


def prepare(work: Work, folder: Path) -> Setting:
    """Build the model; the stored population replaces the one that epydemix would download."""
    if work.observed:
        work = replace(work, config={**work.config, "simulation": whole_days(work.config["simulation"])})
    model = _build(work, folder)
    simulation = work.config["simulation"]
    return Setting(
        model,
        build_initial_conditions(work.config, model),
        simulation["start_date"],
        simulation["end_date"],
        float(simulation.get("dt", 1.0)),
    )


def _build(work: Work, folder: Path) -> EpiModel:
    """Like ``build_model_from_config``, but transitions are added after the population: schedules need its groups."""
    if work.population is None:
        return build_model_from_config(work.config, config_dir=folder)
    config = copy.deepcopy(work.config)
    config.pop("population", None)
    transitions = []
    if config["model"].get("type", "custom") not in SUPPORTED_MODELS:
        transitions, config["model"]["transitions"] = config["model"]["transitions"], []
    model = build_model_from_config(config, config_dir=folder)
    model.set_population(copy.deepcopy(work.population))  # each model gets its own, which epydemix may modify
    for transition in transitions:
        params = _transition_params(transition, config["simulation"], work.population, folder)
        model.add_transition(transition["source"], transition["target"], kind=transition["kind"], params=params)
    return model


def _transition_params(transition: Config, simulation: Config, population: Population, folder: Path) -> Any:
    if transition["kind"] != "scheduled":
        params = transition["params"]
        return tuple(params) if isinstance(params, list) else params
    doses = _load_schedule(
        transition["schedule"],
        folder,
        simulation["start_date"],
        simulation["end_date"],
        len(population.Nk),
        list(population.Nk_names),
    )
    return (doses, transition["eligible"]) if transition.get("eligible") else (doses,)


@contextlib.contextmanager
def folder_of(files: Mapping[str, bytes]) -> Iterator[Path]:
    """A temporary folder with these files for the duration of the block: epydemix reads them by path."""
    with tempfile.TemporaryDirectory() as root:
        for name, content in files.items():
            path = Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield Path(root)
