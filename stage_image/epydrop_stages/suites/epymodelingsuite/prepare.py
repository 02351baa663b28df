"""The builder's part: all checks, the package's builder, a trial simulation, then the tasks."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError

from epydemix.population import population as population_source

from epydrop.errors import BadInput, RetryableError
from epydrop_stages.contract.results import Observations
from epydrop_stages.contract.suite import Task
from epydrop_stages.suites.epymodelingsuite.compatibility import with_known_strategy
from epydrop_stages.suites.epymodelingsuite.config_validation import Configs, validated
from epydrop_stages.suites.epymodelingsuite.configuration import Configuration
from epydrop_stages.suites.epymodelingsuite.describe import describe
from epydrop_stages.suites.epymodelingsuite.hub_requirements import problems_of_outputs
from epydrop_stages.suites.epymodelingsuite.observed_data import DataFile
from epydrop_stages.suites.epymodelingsuite.tasks import sampling_seed, tasks_of
from epydrop_stages.suites.epymodelingsuite.trial import failure, try_out

_log = logging.getLogger("epydrop.stages.epymodelingsuite")


def prepared_tasks(configuration: Configuration, seed: int, folder: Path) -> Iterator[Task]:
    """The tasks, ordered by location. Raises BadInput with all problems, RetryableError if a download fails."""
    if data := os.environ.get("EPYDEMIX_DATA"):
        population_source.EPYDEMIX_DATA_BASE_URL = data  # the package loads its populations from there too
    configs = validated(configuration, folder)
    configs.basemodel.model.random_seed = sampling_seed(seed)
    codes = _codes(configs)
    problems = list(problems_of_outputs(configuration, configs, codes, folder))
    observed: Mapping[str, Observations] = {}
    try:
        observed = _observed(configuration, configs, codes, folder)
    except BadInput as error:
        problems.extend(error.problems)
    if problems:
        raise BadInput(*problems)
    outputs = [with_known_strategy(output) for output in _built(configuration, configs)]
    try_out(outputs, configuration)
    describe(configuration)  # fails here, before any task runs, and not in the output stage
    yield from tasks_of(outputs, configs, seed, observed)


def _built(configuration: Configuration, configs: Configs) -> Sequence[Any]:
    """The BuilderOutputs of the package's builder, always as a list."""
    from epymodelingsuite.dispatcher import dispatch_builder  # noqa: PLC0415 - see package.py

    try:
        outputs = dispatch_builder(**configs.for_builder())
    except MemoryError:
        raise
    except Exception as error:
        # A failed download, which the package wraps in an error of its own, is retried and not reported as bad input.
        if isinstance(error.__context__, URLError):
            raise RetryableError(f"the data of a population could not be downloaded: {error.__context__}") from error
        raise BadInput(failure(error, "its builder", configuration)) from error
    return outputs if isinstance(outputs, list) else [outputs]


def _codes(configs: Configs) -> list[str]:
    """The codes of the locations, as used in the package's data files; 'all' means all that the package knows."""
    from epymodelingsuite.utils import convert_location_name_format, get_location_codebook  # noqa: PLC0415

    modelset = configs.calibration or configs.sampling
    if modelset is None:
        return [configs.basemodel.model.population.name]
    names = list(modelset.modelset.population_names)
    if "all" in names:
        names = list(get_location_codebook()["location_name_epydemix"])
    return [convert_location_name_format(name, "ISO") for name in names]


def _observed(
    configuration: Configuration, configs: Configs, codes: Sequence[str], folder: Path
) -> dict[str, Observations]:
    """Population name -> its observations; {} without a calibration."""
    from epymodelingsuite.utils import convert_location_name_format  # noqa: PLC0415 - see package.py

    if configs.calibration is None or configuration.modelset is None:
        return {}
    file = DataFile.open(configuration.modelset, configs.calibration.modelset.calibration, folder)
    found = file.of(codes)
    return {convert_location_name_format(code, "epydemix_population"): found[code] for code in codes}
