"""The builder's checks: what can be read, and only if that is sound, what can be tried in a moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import TypeVar

from epydemix.cli.config import DEFAULT_N_PROJECTIONS

from epydrop.errors import BadInput, Problem
from epydrop.experiment import Experiment
from epydrop_stages.outputs.hub.locations import hub_problems
from epydrop_stages.suites.epydemix.calibration import undefined_distance
from epydrop_stages.suites.epydemix.checks import FILE, problems_and_warnings, read_files, scenario_problems
from epydrop_stages.suites.epydemix.run import trials
from epydrop_stages.suites.epydemix.sources import Sources
from epydrop_stages.suites.epydemix.tasks import Config, Point, parameter_names, points
from epydrop_stages.suites.epydemix.windows import not_simulated

T = TypeVar("T")

_MAX_CHECKED = 500  # points that are validated one by one; the rest differ from these by numbers in the same ranges
_FEWEST = 100  # simulations from which a 1 % quantile can be told
_MAX_TRIED = 12  # points that are simulated once; a simulation takes from milliseconds to a second


def warnings_of(experiment: Experiment) -> list[str]:
    """What is allowed, but perhaps not meant, each once."""
    found = [warning for _, warned in _verdicts(experiment) for warning in warned]
    return list(dict.fromkeys([*found, *_other_past(experiment), *_too_few_for_the_hub(experiment)]))


def _other_past(experiment: Experiment) -> Iterator[str]:
    """With data a projection goes on from what was fitted, so it should not undo what was fitted with."""
    model = experiment.model or {}
    projection = model.get("projection") or {}
    for section in ("interventions", "overrides") if experiment.data else ():
        lost = [one for one in model.get(section) or [] if one not in (projection.get(section) or [])]
        if section in projection and lost:
            yield f"projection.{section} replace those of the model, so its past is not the one that was fitted"


def _too_few_for_the_hub(experiment: Experiment) -> Iterator[str]:
    """The hub asks for the 1 % and the 99 % quantile."""
    projection = (experiment.model or {}).get("projection") or {}
    count = int(projection.get("n_simulations", DEFAULT_N_PROJECTIONS)) * experiment.tasks.chains
    if experiment.outputs.hub and count < _FEWEST:
        yield f"the hub's quantiles 0.01 and 0.99 are told from {count} simulations; raise projection.n_simulations"


def check(experiment: Experiment, sources: Sources) -> None:
    """Raises BadInput with every problem found: what can be read, and only if that is sound, what can be tried."""
    problems = dict.fromkeys([*_read(experiment, sources)]) or dict.fromkeys(_tried(experiment, sources))
    if problems:
        raise BadInput(*problems)


def _read(experiment: Experiment, sources: Sources) -> Iterator[Problem]:
    """What can be told without a simulation: of the configurations, of the data, and of both together."""
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
    if sound:
        yield from _mismatches(experiment, sources)


def _verdicts(experiment: Experiment) -> Iterator[tuple[list[Problem], list[str]]]:
    """Problems and warnings of the points, one after the other."""
    varied = parameter_names(experiment)
    for point in islice(points(experiment), _MAX_CHECKED):
        yield problems_and_warnings(point.config, varied, has_data=experiment.data is not None)


def _mismatches(experiment: Experiment, sources: Sources) -> Iterator[Problem]:
    """Observations that a point's simulations, or the hub, have no place for."""
    for point in islice(points(experiment), _MAX_CHECKED):
        if observed := sources.observations(point):
            for message in not_simulated(point.config["simulation"], observed):
                yield Problem(f"model: {message}", FILE)
            if problem := undefined_distance(point.config, observed):
                yield Problem(f"{problem}, as in {point.location}", FILE)
    yield from hub_problems(experiment, sources.observed)


def _tried(experiment: Experiment, sources: Sources) -> Iterator[Problem]:
    """What goes wrong when the first point of each kind is simulated once, and each population is loaded."""
    shapes: set[str] = set()
    for point in points(experiment):
        work, problems = _attempted("model: the set-up", point, partial(sources.work, point))
        yield from problems
        shape = _shape(point.config)
        if work is not None and shape not in shapes and len(shapes) < _MAX_TRIED:
            shapes.add(shape)
            for words, attempt in trials(work):
                yield from _attempted(words, point, attempt)[1]


def _attempted(words: str, point: Point, attempt: Callable[[], T]) -> tuple[T | None, list[Problem]]:
    """What the attempt returns, or what went wrong with it."""
    try:
        return attempt(), []
    except BadInput as error:
        return None, list(error.problems)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        message = f"{words} of {point.location} failed: {type(error).__name__}: {error}"
        return None, [Problem(message, FILE)]


def _shape(config: Config) -> str:
    """The same for configurations that differ only in the values of parameters."""
    return json.dumps({name: section for name, section in config.items() if name != "parameters"}, sort_keys=True)
