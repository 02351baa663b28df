"""Another configuration of the outputs for a run that has its results: what ``epydrop rerun-output`` takes.

It is a file with ``outputs:`` as in an experiment, or for the suite epymodelingsuite its own file with ``output:``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from epydrop.errors import BadInput, Problem
from epydrop.experiment.forecasts import with_projection_end
from epydrop.experiment.schema import Experiment, check
from epydrop.experiment.text.problems import did_you_mean
from epydrop.experiment.text.source import Source, describe, read_source, source_of

_KEYS = {"epydemix": "outputs", "epymodelingsuite": "output"}
_NAME = "the output configuration"


def read_output_config(text: bytes, file: str, experiment: Experiment) -> dict[str, Any]:
    """What a file holds, as a kick carries it. Raises BadInput with every problem at its line."""
    source = read_source(text, file)
    _applied(source, experiment)
    return source.plain()


def with_output_config(experiment: Experiment, config: Mapping[str, Any]) -> Experiment:
    """The same experiment with other outputs. Raises BadInput with every problem."""
    return _applied(source_of(config, _NAME), experiment) if config else experiment


def _applied(source: Source, experiment: Experiment) -> Experiment:
    config = source.plain()
    key = _KEYS[experiment.suite]
    for other in config:
        if other != key:
            message = f"'{other}' is not a key of {_NAME} of a run with the suite '{experiment.suite}'"
            hint = did_you_mean(other, [key]) or f"it begins with '{key}:'"
            raise BadInput(source.key_place((other,)).problem(message, hint))
    if not isinstance(config.get(key), Mapping):
        message = f"expected keys and values below '{key}', got {describe(config.get(key))}"
        raise BadInput(*source.problems, Problem(message, source.file, 1))
    document = experiment.model_dump(mode="json", exclude_none=True)
    if key == "output":
        document["config"] = {**document.get("config", {}), "output": config}
    else:
        document["outputs"] = config[key]
        if experiment.model and experiment.data:  # the results go as far as the first hub, whatever is asked for now
            document["model"] = with_projection_end(experiment.model, experiment.outputs.hub)
    return check(source, document)
