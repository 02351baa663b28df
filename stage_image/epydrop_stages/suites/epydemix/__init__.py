"""The ``epydemix`` suite: experiments that are epydemix configurations. Its three functions, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

from epydrop.experiment import Experiment
from epydrop_stages.pools import Pool, pool_of
from epydrop_stages.results import Result
from epydrop_stages.suites import Finished, Output, RunFacts, Task, seed_of
from epydrop_stages.suites.epydemix.model import Work
from epydrop_stages.suites.epydemix.run import run_work
from epydrop_stages.suites.epydemix.sources import Sources
from epydrop_stages.suites.epydemix.tasks import points
from epydrop_stages.suites.epydemix.validation import check, warnings_of

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
    """What epydemix warns of, and what a forecast may be too small for, each once."""
    return warnings_of(experiment)


def versions() -> dict[str, str]:
    """The packages that the numbers depend on."""
    return {package: metadata.version(package) for package in _PACKAGES}
