"""The ``epydemix`` suite: experiments whose ``model`` is an epydemix configuration. See ``contract.suite.Suite``."""

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
from epydrop_stages.suites.epydemix.builder_checks import check, warnings_of
from epydrop_stages.suites.epydemix.compute import run_work
from epydrop_stages.suites.epydemix.describe import describe
from epydrop_stages.suites.epydemix.model import Work
from epydrop_stages.suites.epydemix.sources import Sources
from epydrop_stages.suites.epydemix.tasks import parameter_kinds, points
from epydrop_stages.suites.epydemix.variables import prior_names, variable_names

if TYPE_CHECKING:
    from epydrop_stages.outputs.point_digest import PointDigest

_log = logging.getLogger("epydrop.stages.epydemix")

NEEDS_FILES = False  # the builder puts the files into the tasks

_PACKAGES = ("epydemix", "numpy", "scipy", "pandas", "dill", "zstandard")


def build(experiment: Experiment, workspace: Path) -> Iterator[Task]:
    """One task for each point and chain. Raises BadInput with all problems of configuration and data."""
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
    """Varied parameters, variables of all models, calibrated parameters."""
    every = [point.config for point in points(experiment)]
    return Columns(parameter_kinds(experiment), variable_names(every), prior_names(every))


def run(task: Task) -> Result:
    """Simulate, or calibrate and project. Raises BadInput if the task cannot be computed."""
    work: Work = task.work
    return run_work(work, task.seed)


def digest(results: Sequence[Finished], experiment: Experiment, facts: RunFacts, workspace: Path) -> PointDigest:
    """Digest the pooled chains of one point; called in a worker."""
    from epydrop_stages.outputs.point_digest import digest_point  # noqa: PLC0415 - lazy: pyarrow starts threads, and workers are forked before

    pool = pooled_point(results)
    return digest_point(pool, describe(pool, experiment), experiment, facts, workspace)


def report(
    digests: Iterable[PointDigest], experiment: Experiment, facts: RunFacts, workspace: Path
) -> Iterator[Output]:
    """Tables, quality.json and a self-contained report."""
    from epydrop_stages.outputs.publish import publish  # noqa: PLC0415 - lazy, as above

    return publish(digests, experiment, facts, workspace)


def warnings(experiment: Experiment) -> list[str]:
    """Warnings of epydemix and our own, without duplicates."""
    return warnings_of(experiment)


def versions() -> dict[str, str]:
    """Versions of the packages that determine the numbers."""
    return {package: metadata.version(package) for package in _PACKAGES}
