"""The ``epydemix`` suite: experiments that are epydemix configurations. Its three functions, and nothing else."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from itertools import islice
from pathlib import Path

from epydrop.errors import BadInput, Problem
from epydrop.experiment import Experiment
from epydrop_stages.pools import Pool, pool_of
from epydrop_stages.results import Result
from epydrop_stages.suites import Finished, Output, RunFacts, Task, seed_of
from epydrop_stages.suites.epydemix.checks import FILE, problems_and_warnings, read_files
from epydrop_stages.suites.epydemix.model import Work
from epydrop_stages.suites.epydemix.populations import Populations
from epydrop_stages.suites.epydemix.run import run_work, try_work
from epydrop_stages.suites.epydemix.tasks import Config, Point, parameter_names, points

_log = logging.getLogger("epydrop.stages.epydemix")

_MAX_CHECKED = 500  # points that are validated one by one; the rest differ from these by numbers in the same ranges
_MAX_TRIED = 12  # points that are simulated once; a simulation takes from milliseconds to a second
_PACKAGES = ("epydemix", "numpy", "scipy", "pandas", "dill", "zstandard")


def build(experiment: Experiment, workspace: Path) -> Iterator[Task]:
    """One task for each point and chain. Raises BadInput with every problem of the configuration at once."""
    populations = Populations()
    check(experiment, workspace, populations)
    for warning in warnings(experiment):
        _log.warning(warning)
    chains, seed = experiment.tasks.chains, seed_of(experiment)
    for point in points(experiment):
        work = _work(point, workspace, populations)
        for key in point.keys(chains):
            yield Task(key, key.seed(seed), work)


def run(task: Task) -> Result:
    """Simulates, or calibrates and projects. Raises BadInput if the task cannot be run, MemoryError as itself."""
    work: Work = task.work
    return run_work(work, task.seed)


def digest(results: Sequence[Finished], experiment: Experiment, facts: RunFacts) -> Pool:  # noqa: ARG001 - the protocol's
    """The chains of one point, pooled."""
    return pool_of(results)


def report(digests: Iterable[Pool], experiment: Experiment, facts: RunFacts, workspace: Path) -> Iterator[Output]:
    """Tables, and a report that needs nothing but itself."""
    from epydrop_stages.suites.epydemix.publish import publish  # noqa: PLC0415 - pyarrow and matplotlib start threads

    return publish(digests, experiment, facts, workspace)


def warnings(experiment: Experiment) -> list[str]:
    """What epydemix warns of, each once."""
    return list(dict.fromkeys(warning for _, warned in _verdicts(experiment) for warning in warned))


def versions() -> dict[str, str]:
    """The packages that the numbers depend on."""
    return {package: metadata.version(package) for package in _PACKAGES}


def check(experiment: Experiment, workspace: Path, populations: Populations) -> None:
    """Raises BadInput with every problem found: what can be read, and only if that is sound, what can be tried."""
    found = [problem for problems, _ in _verdicts(experiment) for problem in problems]
    for point in islice(points(experiment), _MAX_CHECKED):
        found.extend(read_files(point.config, workspace)[1])
    problems = dict.fromkeys(found) or dict.fromkeys(_tried(experiment, workspace, populations))
    if problems:
        raise BadInput(*problems)


def _verdicts(experiment: Experiment) -> Iterator[tuple[list[Problem], list[str]]]:
    """Problems and warnings of the points, one after the other."""
    varied = parameter_names(experiment)
    for point in islice(points(experiment), _MAX_CHECKED):
        yield problems_and_warnings(point.config, varied)


def _tried(experiment: Experiment, workspace: Path, populations: Populations) -> Iterator[Problem]:
    """What goes wrong when the first point of each kind is simulated once, and each population is loaded."""
    shapes: set[str] = set()
    for point in points(experiment):
        try:
            work = _work(point, workspace, populations)
            shape = _shape(point.config)
            if shape in shapes or len(shapes) >= _MAX_TRIED:
                continue
            shapes.add(shape)
            try_work(work)
        except BadInput as error:
            yield from error.problems
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            message = f"{type(error).__name__}: {error}"
            yield Problem(f"model: a trial simulation of {point.location} failed: {message}", FILE)


def _shape(config: Config) -> str:
    """The same for configurations that differ only in the values of parameters."""
    return json.dumps({name: section for name, section in config.items() if name != "parameters"}, sort_keys=True)


def _work(point: Point, workspace: Path, populations: Populations) -> Work:
    files, problems = read_files(point.config, workspace)
    if problems:
        raise BadInput(*problems)
    return Work(point.config, populations.of(point.config), files)
