"""Reads once, in the builder, what the tasks carry: populations, observations, and the files that a model names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from epydrop.errors import BadInput
from epydrop.experiment import Experiment
from epydrop_stages.contract.results import Observations
from epydrop_stages.inputs.series import read_observations
from epydrop_stages.suites.epydemix.config_problems import read_files
from epydrop_stages.suites.epydemix.model import Work
from epydrop_stages.suites.epydemix.populations import Populations
from epydrop_stages.suites.epydemix.tasks import Point, location_path, locations


@dataclass
class Sources:
    """The inputs of all tasks. ``observed``: location -> its observations; empty without ``data``."""

    experiment: Experiment
    workspace: Path
    populations: Populations = field(default_factory=Populations)
    observed: Mapping[str, Observations] = field(default_factory=dict)

    def read_data(self) -> None:
        """Read the observations. Raises BadInput with all problems of the file."""
        experiment, data = self.experiment, self.experiment.data
        if data is not None and experiment.model is not None:
            target = experiment.model["calibration"]["target_variable"]
            self.observed = read_observations(data, locations(experiment), target, self.workspace)

    def observations(self, point: Point) -> Observations | None:
        """The observations of the variable that this point calibrates to."""
        found = self.observed.get(point.location)
        return replace(found, variable=point.config["calibration"]["target_variable"]) if found else None

    def work(self, point: Point) -> Work:
        """The work of this point's tasks. Raises BadInput, or RetryableError if a population cannot be downloaded."""
        files, problems = read_files(point.config, self.workspace)
        if problems:
            raise BadInput(*problems)
        population = self.populations.of(point.config, location_path(self.experiment, point.location))
        return Work(point.config, population, files, self.observations(point), self.experiment.scenarios)
