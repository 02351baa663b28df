"""A new configuration of the outputs for a run that has its results: the input of ``epydrop rerun-output``.

A file with ``outputs:`` as in an experiment, or for the suite epymodelingsuite the package's own file, ``output:``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from epydrop.errors import BadInput, Problem
from epydrop.experiment.forecasts import with_projection_end
from epydrop.experiment.reading import validated
from epydrop.experiment.schema import SECTIONS_OF, Experiment
from epydrop.experiment.text.problems import did_you_mean
from epydrop.experiment.text.source import Source, located, read_source, source_of
from epydrop.experiment.text.wording import describe

_NAME = "the output configuration"


def read_output_config(text: bytes, file: str, experiment: Experiment) -> dict[str, Any]:
    """The content of a file, as a kick carries it. Raises BadInput with every problem and its line."""
    source = read_source(text, file)
    _applied(source, experiment)
    return source.plain()


def with_output_config(experiment: Experiment, config: Mapping[str, Any]) -> Experiment:
    """The experiment with other outputs; unchanged if ``config`` is empty. Raises BadInput with every problem."""
    return _applied(source_of(config, _NAME), experiment) if config else experiment


def _applied(source: Source, experiment: Experiment) -> Experiment:
    config = source.plain()
    key = "outputs" if "outputs" in SECTIONS_OF[experiment.suite] else "output"
    for other in config:
        if other != key:
            message = f"'{other}' is not a key of {_NAME} for the suite '{experiment.suite}'"
            hint = did_you_mean(other, [key]) or f"the file has one key, '{key}'"
            raise BadInput(located(Problem(message, hint=hint, path=(other,)), source, at_key=True))
    if not isinstance(config.get(key), Mapping):
        message = f"expected keys and values under '{key}', got {describe(config.get(key))}"
        raise BadInput(*source.problems, Problem(message, source.file, 1))
    document = experiment.model_dump(mode="json", exclude_none=True)
    if key == "output":
        document["config"] = {**document.get("config", {}), "output": config}
    else:
        document["outputs"] = config[key]
        # The projections exist already: they end where the experiment's own hub, not the new one, made them end.
        if experiment.model and experiment.data:
            document["model"] = with_projection_end(experiment.model, experiment.outputs.hub)
    return validated(source, document)
