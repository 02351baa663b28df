"""The ``epymodelingsuite`` suite: basemodel, modelset and output files, run by the package of that name.

The package is optional, so everything that needs it is imported inside functions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from epydrop.experiment import Experiment
from epydrop_stages.contract.description import Columns
from epydrop_stages.contract.suite import Finished, Output, RunFacts, Task, seed_of
from epydrop_stages.outputs.pooled_point import pooled_point
from epydrop_stages.suites.epymodelingsuite import package
from epydrop_stages.suites.epymodelingsuite.configuration import find

if TYPE_CHECKING:
    from epydrop_stages.suites.epymodelingsuite.generator import Generator
    from epydrop_stages.suites.epymodelingsuite.publish import SuiteDigest
    from epydrop_stages.suites.epymodelingsuite.work import PackageResult

NEEDS_FILES = True  # the package opens data by relative paths, and the repository may hold modules that it imports

_log = logging.getLogger("epydrop.stages.epymodelingsuite")


def build(experiment: Experiment, workspace: Path) -> Iterator[Task]:
    """One task for each location, or for each location and sample. Raises BadInput with all problems."""
    package.require()
    from epydrop_stages.suites.epymodelingsuite.prepare import prepared_tasks  # noqa: PLC0415 - needs the package

    configuration = find(experiment, workspace)
    for part in configuration:
        _log.info("%s: %s", part.part, part.name or "from the experiment")
    for warning in warnings(experiment):
        _log.warning(warning)
    yield from prepared_tasks(configuration, seed_of(experiment), workspace)


def run(task: Task) -> PackageResult:
    """Simulate, or calibrate and project. Raises NoForecast if the package returns without a forecast."""
    from epydrop_stages.suites.epymodelingsuite.compute import run_work  # noqa: PLC0415 - needs the package

    return run_work(task.work, task.seed)


def columns(experiment: Experiment) -> Columns:
    """No columns, because the package makes the tables; ``parameters`` are the sampled values, for the report."""
    from epydrop_stages.suites.epymodelingsuite.describe import varied  # noqa: PLC0415 - lazy: scipy.stats is slow to import

    return Columns(parameters=varied(find(experiment, Path.cwd())), own_tables=True)


def digest(results: Sequence[Finished], experiment: Experiment, facts: RunFacts, workspace: Path) -> SuiteDigest:
    """The package's tables for each result of one point, and the digest that the report needs."""
    from epydrop_stages.outputs.point_digest import digest_point  # noqa: PLC0415 - lazy: pyarrow starts threads, and workers are forked before
    from epydrop_stages.suites.epymodelingsuite.convert import as_result  # noqa: PLC0415 - lazy, as above
    from epydrop_stages.suites.epymodelingsuite.describe import describe  # noqa: PLC0415 - lazy, as above
    from epydrop_stages.suites.epymodelingsuite.publish import SuiteDigest, TaskDigest  # noqa: PLC0415 - lazy, as above

    pool = pooled_point(
        [Finished(one.task, as_result(one.result)) for one in results]
    )  # first, because the generator modifies them
    point = digest_point(pool, describe(find(experiment, Path.cwd())), experiment, facts, workspace)
    generator = _generator(experiment.model_dump_json(), str(Path.cwd()))
    return SuiteDigest.of([TaskDigest.of(one.task, one.result, generator.of(one.result)) for one in results], point)


def report(
    digests: Iterable[SuiteDigest], experiment: Experiment, facts: RunFacts, workspace: Path
) -> Iterator[Output]:
    """The package's tables and figures under its names, its configuration, the task table, quality and report."""
    from epydrop_stages.outputs.publish import publish  # noqa: PLC0415 - lazy, as above
    from epydrop_stages.suites.epymodelingsuite.publish import PackageFiles  # noqa: PLC0415 - lazy, as above

    files = PackageFiles(workspace, facts)
    yield from publish(files.collect(digests), experiment, facts, workspace)
    yield from files.close(find(experiment, Path.cwd()), experiment)


def warnings(experiment: Experiment) -> list[str]:
    """Settings without effect, forecasts made with hindsight, and locations with older data."""
    from epydrop_stages.suites.epymodelingsuite.config_warnings import config_warnings  # noqa: PLC0415 - needs the package

    found = []
    configuration = find(experiment, Path.cwd())
    if (seed := configuration.basemodel.at("model", "random_seed")) is not None:
        found.append(f"random_seed {seed} of the basemodel is not used; the experiment's seed {seed_of(experiment)} is")
    path = ("modelset", "calibration", "projection", "generation_number")
    if configuration.modelset and configuration.modelset.at(*path) is not None and package.is_first():
        found.append("generation_number of the projection is not used: the package draws from the last generation")
    return [*found, *config_warnings(configuration, Path.cwd())]


def versions() -> dict[str, str]:
    """Versions of the packages that determine the numbers."""
    return package.versions()


@lru_cache(maxsize=1)
def _generator(experiment: str, folder: str) -> Generator:
    """The generator for all results. Checks the output configuration, which may be newer than the builder's."""
    from epydrop_stages.suites.epymodelingsuite.config_validation import output_config  # noqa: PLC0415 - needs the package
    from epydrop_stages.suites.epymodelingsuite.generator import Generator  # noqa: PLC0415 - needs the package

    return Generator(output_config(find(Experiment.model_validate_json(experiment), Path(folder))))
