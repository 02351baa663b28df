"""Reading experiments from text, and their problems."""

from __future__ import annotations

import pytest

from epydrop.errors import BadInput
from epydrop.experiment import Experiment, read_experiment

FILE = "experiment.yaml"
MODEL = "model: {simulation: {start_date: 2026-11-28}}\n"


def read(text: str | bytes, *settings_: str, **options) -> Experiment:
    """The experiment in a text; ``flu`` is its default id."""
    data = text if isinstance(text, bytes) else text.encode()
    return read_experiment(data, FILE, "flu", settings_, **options)


def problems(text: str | bytes, *settings_: str, **options) -> list[str]:
    """The problems of a text, one line each."""
    with pytest.raises(BadInput) as caught:
        read(text, *settings_, **options)
    return [str(problem) for problem in caught.value.problems]
