"""The ``epydemix`` suite: experiments that are epydemix configurations. Its three functions, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from epydrop.experiment import Experiment
from epydrop_stages.contract.description import Columns
from epydrop_stages.contract.results import Result
from epydrop_stages.contract.suite import Finished, Output, RunFacts, Task, seed_of
from epydrop_stages.outputs.pooled_point import pooled_point
from epydrop_stages.suites.epydemix.describe import describe
from epydrop_stages.suites.epydemix.model import Work
from epydrop_stages.suites.epydemix.run import run_work
from epydrop_stages.suites.epydemix.sources import Sources
from epydrop_stages.suites.epydemix.tasks import parameter_kinds, points
from epydrop_stages.suites.epydemix.validation import check, warnings_of
from epydrop_stages.suites.epydemix.variables import prior_names, variable_names

if TYPE_CHECKING:
    from epydrop_stages.outputs.point_digest import PointDigest

_log = logging.getLogger("epydrop.stages.epydemix")

_PACKAGES = ("epydemix", "numpy", "scipy", "pandas", "dill", "zstandard")


def build(experiment: Experiment, workspace: Path) -> Iterator[Task]:
    """One task for each point and chain. Raises BadInput with every problem of configuration and data at once."""
    sources = Sources(experiment, workspace)
    check(experiment, sources)
    for warning in warnings(experiment):
        _log.warning(warning)
    chains, seed = experiment.tasks.chains, seed_of(experiment)
    for point in points(experiment):
        work = sources.work(point)
        for key in point.keys(chains):
            yield Task(key, key.seed(seed), work)


def columns(experiment: Experiment) -> Columns:
    """Paths of the varied parameters, variables of all models, calibrated parameters."""
    every = [point.config for point in points(experiment)]
    return Columns(parameter_kinds(experiment), variable_names(every), prior_names(every))


def run(task: Task) -> Result:
    """Simulates, or calibrates and projects. Raises BadInput if the task cannot be run, MemoryError as itself."""
    work: Work = task.work
    return run_work(work, task.seed)


def digest(results: Sequence[Finished], experiment: Experiment, facts: RunFacts, workspace: Path) -> PointDigest:
    """The chains of one point, pooled; in a worker."""
    from epydrop_stages.outputs.point_digest import digest_point  # noqa: PLC0415 - workers are forked before pyarrow is at work

    point = pooled_point(results)
    return digest_point(point, describe(point, experiment), experiment, facts, workspace)


def report(
    digests: Iterable[PointDigest], experiment: Experiment, facts: RunFacts, workspace: Path
) -> Iterator[Output]:
    """Tables, quality and a report that needs nothing but itself."""
    from epydrop_stages.outputs.publish import publish  # noqa: PLC0415 - as above

    return publish(digests, experiment, facts, workspace)


def warnings(experiment: Experiment) -> list[str]:
    """What epydemix warns of, and what a forecast may be too small for, each once."""
    return warnings_of(experiment)


def versions() -> dict[str, str]:
    """The packages that the numbers depend on."""
    return {package: metadata.version(package) for package in _PACKAGES}
