"""The builder's checks of an experiment: first by reading it, then, if that is sound, by trial simulations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeVar

from epydemix.cli.config import DEFAULT_N_PROJECTIONS

from epydrop.errors import BadInput, Problem
from epydrop.experiment import Experiment
from epydrop_stages.outputs.hub.locations import hub_problems
from epydrop_stages.suites.epydemix.calibration import undefined_distance
from epydrop_stages.suites.epydemix.compute import Trial, trials
from epydrop_stages.suites.epydemix.config_problems import problems_and_warnings, read_files, scenario_problems
from epydrop_stages.suites.epydemix.sources import Sources
from epydrop_stages.suites.epydemix.tasks import Config, Point, parameter_names, points
from epydrop_stages.suites.epydemix.windows import uncovered_data

T = TypeVar("T")

_MAX_CHECKED = 500  # points to validate; the others differ from these only by numbers from the same ranges
_MIN_FOR_HUB = 100  # simulations: with fewer, a 1 % quantile is an extrapolation
_MAX_TRIED = 12  # points to simulate once; a simulation takes from milliseconds to a second


def warnings_of(experiment: Experiment) -> list[str]:
    """Settings that are allowed but probably unintended, without duplicates."""
    found = [warning for _, warned in _verdicts(experiment) for warning in warned]
    return list(dict.fromkeys([*found, *_other_past(experiment), *_too_few_for_the_hub(experiment)]))


def _other_past(experiment: Experiment) -> Iterator[str]:
    """With data a projection continues the fitted past, so it must not drop the changes that were fitted."""
    model = experiment.model or {}
    projection = model.get("projection") or {}
    for section in ("interventions", "overrides") if experiment.data else ():
        lost = [one for one in model.get(section) or [] if one not in (projection.get(section) or [])]
        if section in projection and lost:
            yield f"projection.{section} replace those of the model, so its past is not the one that was fitted"


def _too_few_for_the_hub(experiment: Experiment) -> Iterator[str]:
    """The hub requires the 1 % and the 99 % quantile."""
    projection = (experiment.model or {}).get("projection") or {}
    count = int(projection.get("n_simulations", DEFAULT_N_PROJECTIONS)) * experiment.tasks.chains
    if experiment.outputs.hub and count < _MIN_FOR_HUB:
        yield f"the hub's quantiles 0.01 and 0.99 come from {count} simulations; raise projection.n_simulations"


def check(experiment: Experiment, sources: Sources) -> None:
    """Raise BadInput with all problems. Trials follow only if reading found none: they would repeat the problems."""
    problems = dict.fromkeys([*_read(experiment, sources)]) or dict.fromkeys(_tried(experiment, sources))
    if problems:
        raise BadInput(*problems)


def _read(experiment: Experiment, sources: Sources) -> Iterator[Problem]:
    """Problems of the configurations, of the data, and of both together, found without a simulation."""
    sound = True
    for problems, _ in _verdicts(experiment):
        sound = sound and not problems
        yield from problems
    for point in islice(points(experiment), _MAX_CHECKED):
        yield from read_files(point.config, sources.workspace)[1]
        if sound:
            yield from scenario_problems(point.config, experiment.scenarios)
    try:
        sources.read_data()
    except BadInput as error:
        yield from error.problems
        return
    if sound:  # the checks need valid dates and names
        yield from _mismatches(experiment, sources)


def _verdicts(experiment: Experiment) -> Iterator[tuple[list[Problem], list[str]]]:
    """Problems and warnings of each point."""
    varied = parameter_names(experiment)
    for point in islice(points(experiment), _MAX_CHECKED):
        yield problems_and_warnings(point.config, varied, has_data=experiment.data is not None)


def _mismatches(experiment: Experiment, sources: Sources) -> Iterator[Problem]:
    """Observations that do not fit the simulations of a point or the hub."""
    for point in islice(points(experiment), _MAX_CHECKED):
        if observed := sources.observations(point):
            for key, message in uncovered_data(point.config["simulation"], observed):
                yield Problem(f"model: {message}", path=("model", "simulation", key))
            if problem := undefined_distance(point.config, observed):
                yield replace(problem, message=f"{problem.message}, as in {point.location}")
    yield from hub_problems(experiment, sources.observed)


def _tried(experiment: Experiment, sources: Sources) -> Iterator[Problem]:
    """Problems of loading every population, and of one simulation of the first point of each shape."""
    shapes: set[str] = set()
    for point in points(experiment):
        work, problems = _attempted(point, Trial("model: the set-up", ("model",), partial(sources.work, point)))
        yield from problems
        shape = _shape(point.config)
        if work is not None and shape not in shapes and len(shapes) < _MAX_TRIED:
            shapes.add(shape)
            for trial in trials(work):
                yield from _attempted(point, trial)[1]


def _attempted(point: Point, trial: Trial[T]) -> tuple[T | None, list[Problem]]:
    """The result of the trial, or None and its problems."""
    try:
        return trial.run(), []
    except BadInput as error:
        return None, list(error.problems)
    # What numpy and epydemix raise for unsuitable values. Anything else is a bug or a lack of memory, and is raised.
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        message = f"{trial.words} of {point.location} failed: {type(error).__name__}: {error}"
        return None, [Problem(message, path=trial.path)]


def _shape(config: Config) -> str:
    """Equal for configurations that differ only in parameter values: if one can be simulated, so can the others."""
    return json.dumps({name: section for name, section in config.items() if name != "parameters"}, sort_keys=True)
