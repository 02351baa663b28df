"""Expands an experiment to its points: populations x grid x Latin hypercube, each with its configuration and chains."""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from epydemix.model.predefined_models import SUPPORTED_MODELS
from scipy.stats import qmc

from epydrop.errors import BadInput, KeyPath, Problem
from epydrop.experiment import Experiment
from epydrop_stages.contract.suite import TaskKey, seed_of
from epydrop_stages.suites.epydemix.windows import with_dates

Config = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """One location and one set of parameter values (dotted path -> value); its chains share the configuration."""

    location: str
    parameters: Mapping[str, Any]
    config: Config

    def keys(self, chains: int) -> Iterator[TaskKey]:
        """The task keys of its chains."""
        return (TaskKey(self.location, self.parameters, chain) for chain in range(chains))


def points(experiment: Experiment) -> Iterator[Point]:
    """All points, ordered by location, grid point, hypercube point. Raises BadInput for a path that does not exist."""
    combinations = _combinations(experiment)
    for location in locations(experiment):
        for parameters in combinations:
            yield point_at(experiment, location, parameters)


def point_at(experiment: Experiment, location: str, parameters: Mapping[str, Any]) -> Point:
    """The point with this location and these parameters. Raises BadInput for a path that does not exist."""
    config = plain(dict(experiment.model or {}))
    if experiment.tasks.populations:
        config.setdefault("population", {})["name"] = location
    for path, value in parameters.items():
        set_at(config, path, value, _varied_at(experiment, path))
    return Point(location, parameters, with_dates(config, experiment))


def parameter_names(experiment: Experiment) -> list[str]:
    """The dotted paths in which points differ, in the order of the file."""
    tasks = experiment.tasks
    return [*tasks.grid, *(tasks.lhs.ranges if tasks.lhs else ())]


def parameter_kinds(experiment: Experiment) -> dict[str, str]:
    """These paths with 'number', or 'text' if any value is not a number."""
    texts = {
        path
        for path, values in experiment.tasks.grid.items()
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    }
    return {path: "text" if path in texts else "number" for path in parameter_names(experiment)}


def _varied_at(experiment: Experiment, path: str) -> KeyPath:
    """Where the experiment varies this dotted path."""
    return ("tasks", "grid", path) if path in experiment.tasks.grid else ("tasks", "lhs", "ranges", path)


def location_path(experiment: Experiment, location: str) -> KeyPath:
    """Where the experiment names this population."""
    names = experiment.tasks.populations
    return ("tasks", "populations", names.index(location)) if names else ("model", "population", "name")


def locations(experiment: Experiment) -> list[str]:
    """The populations in order; a population that is defined by its size is called "population"."""
    if experiment.tasks.populations:
        return list(experiment.tasks.populations)
    return [((experiment.model or {}).get("population") or {}).get("name", "population")]


def _combinations(experiment: Experiment) -> list[dict[str, Any]]:
    """The parameter values of each point of a location; one empty combination when nothing varies."""
    tasks = experiment.tasks
    grid = [dict(zip(tasks.grid, values, strict=True)) for values in itertools.product(*tasks.grid.values())]
    return [{**plain(outer), **inner} for outer in grid for inner in _hypercube(experiment)]


def _hypercube(experiment: Experiment) -> list[dict[str, float]]:
    """The points of the Latin hypercube, the same for every location and grid point, so that these are comparable.

    ``scipy.stats.qmc.LatinHypercube`` seeded from the experiment's seed; the spawn key keeps its stream apart from
    those of the tasks.
    """
    lhs = experiment.tasks.lhs
    if lhs is None:
        return [{}]
    words = hashlib.sha256(b"latin hypercube").digest()[:4]
    seed = np.random.SeedSequence(seed_of(experiment), spawn_key=(int.from_bytes(words, "big"),))
    unit = qmc.LatinHypercube(len(lhs.ranges), rng=np.random.default_rng(seed)).random(lhs.n)
    low, high = (np.array([bounds[side] for bounds in lhs.ranges.values()], dtype=float) for side in (0, 1))
    return [dict(zip(lhs.ranges, row, strict=True)) for row in (low + unit * (high - low)).tolist()]


def set_at(config: Config, path: str, value: Any, varied_at: KeyPath = ("tasks",)) -> None:
    """Set the value at a dotted path (list positions are numbers). Raises BadInput if the path does not exist.

    A parameter of a predefined model may be left out of the configuration: it has a default, so it may be set.
    """
    *parents, last = path.split(".")
    may_be_new = parents == ["parameters"] and (config.get("model") or {}).get("type") in SUPPORTED_MODELS
    if may_be_new:
        config.setdefault("parameters", {})
    place: Any = config
    for part in parents:
        place = _step(place, part, path, varied_at)
    if not (may_be_new and isinstance(place, dict)):
        _step(place, last, path, varied_at)
    # A copy: points share the experiment's values, and epydemix modifies its configuration.
    place[int(last) if isinstance(place, list) else last] = copy.deepcopy(value)


def _step(place: Any, part: str, path: str, varied_at: KeyPath) -> Any:
    try:
        return place[int(part) if isinstance(place, list) else part]
    except (KeyError, IndexError, ValueError, TypeError):
        known = list(place) if isinstance(place, dict) else range(len(place)) if isinstance(place, list) else []
        hint = f"there is {', '.join(map(str, known))}" if known else ""
        message = f"tasks: {path} does not exist: the model has no {part!r} there"
        raise BadInput(Problem(message, hint=hint, path=varied_at)) from None


def plain(value: Any) -> Any:
    """A copy that JSON can represent: dates as ISO text, mappings and lists as plain dicts and lists."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    for kind in (bool, int, float, str):  # YAML readers return subclasses that remember the notation
        if isinstance(value, kind):
            return kind(value)
    return value
