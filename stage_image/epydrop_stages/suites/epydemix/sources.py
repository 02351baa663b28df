"""What the builder reads once and puts into the tasks: populations, observations, and the files a model names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from epydrop.errors import BadInput
from epydrop.experiment import Experiment
from epydrop_stages.contract.results import Observations
from epydrop_stages.inputs.series import read_observations
from epydrop_stages.suites.epydemix.checks import read_files
from epydrop_stages.suites.epydemix.model import Work
from epydrop_stages.suites.epydemix.populations import Populations
from epydrop_stages.suites.epydemix.tasks import Point, locations


@dataclass
class Sources:
    """Where tasks get their inputs from; ``observed`` has every location, or nothing without ``data``."""

    experiment: Experiment
    workspace: Path
    populations: Populations = field(default_factory=Populations)
    observed: Mapping[str, Observations] = field(default_factory=dict)

    def read_data(self) -> None:
        """Reads the observations. Raises BadInput with every problem of the file."""
        experiment, data = self.experiment, self.experiment.data
        if data is not None and experiment.model is not None:
            target = experiment.model["calibration"]["target_variable"]
            self.observed = read_observations(data, locations(experiment), target, self.workspace)

    def observations(self, point: Point) -> Observations | None:
        """What was observed of the variable that this point calibrates to."""
        found = self.observed.get(point.location)
        return replace(found, variable=point.config["calibration"]["target_variable"]) if found else None

    def work(self, point: Point) -> Work:
        """All that the tasks of this point need. Raises BadInput, or RetryableError if a population is away."""
        files, problems = read_files(point.config, self.workspace)
        if problems:
            raise BadInput(*problems)
        population = self.populations.of(point.config)
        return Work(point.config, population, files, self.observations(point), self.experiment.scenarios)
