"""A problem that knows its path in the experiment gets the line and column of that path."""

from __future__ import annotations

import pytest

from epydrop.errors import Problem
from epydrop.experiment.text.source import located, read_source, source_of

SOURCE = read_source(b"model:\n  parameters: {beta: 0.3}\n  steps:\n    - {name: a}\n    - {name: b}\n", "flu.yaml")


@pytest.mark.parametrize(
    ("path", "at_value", "at_key"),
    [
        (("model", "parameters", "beta"), (2, 22), (2, 16)),
        (("model", "steps", 1, "name"), (5, 14), (5, 8)),
        (("model", "parameters", "gamma"), (2, 3), (2, 3)),
        (("model", "steps", 7, "name"), (3, 3), (3, 3)),
        (("model", "parameters", "beta", "deeper"), (2, 16), (2, 16)),
        (("absent", "deeper"), (1, 1), (1, 1)),
    ],
)
def test_a_path_becomes_a_line_and_a_column(path, at_value, at_key):
    """A path that the file does not have leads to the key of the nearest section around it."""
    problem = Problem("wrong", hint="fix it", path=path)

    assert located(problem, SOURCE) == Problem("wrong", "flu.yaml", *at_value, "fix it", path)
    assert located(problem, SOURCE, at_key=True) == Problem("wrong", "flu.yaml", *at_key, "fix it", path)


def test_a_problem_with_a_line_stays_as_it_is():
    """It may be about another file."""
    problem = Problem("wrong", "data.csv", 7, path=("model",))

    assert located(problem, SOURCE) == problem


def test_without_a_path_only_the_file_is_known():
    """No line is better than a wrong one."""
    assert located(Problem("wrong"), SOURCE) == Problem("wrong", "flu.yaml")


def test_a_document_that_is_not_a_file_has_no_lines():
    """Such as the configuration inside a kick."""
    kick = source_of({"outputs": {"formats": []}}, "the output configuration")

    assert str(located(Problem("wrong", path=("outputs", "formats")), kick)) == "the output configuration: wrong"
