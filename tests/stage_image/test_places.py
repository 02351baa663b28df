"""Problems that only the suite can find point into the file as it was dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from epydrop.errors import BadInput, Problem
from epydrop.stores.folder import FileObjectStore
from epydrop_stages.inputs.problem_locations import with_places

TEXT = """\
exp_id: flu
model:
  model: {type: SIR}
  parameters:
    transmision_rate: 0.3
  simulation:
    start_date: 2026-01-01
    end_date: 2025-01-01
  transitions:
    - {source: S}
    - {source: S,
       target: X}
tasks:
  populations: [Narnia]
  grid:
    parameters.speed: [1, 2]
"""


@pytest.mark.parametrize(
    ("message", "line", "column"),
    [
        ("model: parameters: 'transmision_rate' is not a parameter of this model", 5, 5),
        ("model: simulation.end_date (2025-01-01) must be after simulation.start_date (2026-01-01)", 8, 5),
        ("model: transitions[1].target 'X' is not a declared compartment", 12, 8),
        ("there is no population 'Narnia' in epydemix-data", 14, 17),
        ("tasks: parameters.speed leads nowhere: the model has no 'speed' there", 16, 5),
        ("model: a trial simulation failed: something odd", 2, 1),
    ],
)
def test_a_problem_points_to_the_line_it_speaks_of(tmp_path: Path, message: str, line: int, column: int) -> None:
    """By the words in it that are keys or values of the file."""
    store = FileObjectStore(tmp_path)
    store.write("dropped/flu.yaml", TEXT.encode())

    placed = with_places(BadInput(Problem(message, "experiment.yaml")), store).problems[0]

    assert (placed.file, placed.line, placed.column) == ("flu.yaml", line, column)


def test_a_problem_that_names_nothing_in_the_file_keeps_its_words(tmp_path: Path) -> None:
    """A wrong place would be worse than none."""
    store = FileObjectStore(tmp_path)
    store.write("dropped/flu.yaml", TEXT.encode())

    placed = with_places(BadInput(Problem("nothing works", "experiment.yaml", hint="look")), store).problems[0]

    assert (placed.message, placed.line, placed.hint) == ("nothing works", None, "look")
