"""Problems that only the suite can find point into the file as it was dropped."""

from __future__ import annotations

import io
from zipfile import ZipFile

import pytest

from epydrop.errors import BadInput, Problem
from epydrop.stores.folder import FileObjectStore
from epydrop_stages.inputs.problem_locations import locate_problems

TEXT = """\
exp_id: flu
model:
  parameters:
    transmision_rate: 0.3
  transitions:
    - {source: S}
    - {source: S,
       target: X}
tasks:
  populations: [Narnia]
"""


def located(store, problem):
    return locate_problems(BadInput(problem), store).problems[0]


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        (("model", "parameters", "transmision_rate"), 4, 5),
        (("model", "transitions", 1, "target"), 8, 8),
        (("tasks", "populations", 0), 10, 17),
        (("model", "simulation", "start_date"), 2, 1),  # its section is missing
    ],
)
def test_a_path_becomes_a_line_of_the_dropped_file(tmp_path, path, line, column):
    """Or the line of the nearest section that exists; the words play no part."""
    store = FileObjectStore(tmp_path)
    store.write("dropped/flu.yaml", TEXT.encode())

    problem = located(store, Problem("tasks: 'target' is wrong", path=path, hint="look"))

    assert (problem.file, problem.line, problem.column, problem.hint) == ("flu.yaml", line, column, "look")


def test_a_bundle_is_read_for_its_experiment(tmp_path):
    """The file is named inside of the bundle."""
    store = FileObjectStore(tmp_path)
    stream = io.BytesIO()
    with ZipFile(stream, "w") as archive:
        archive.writestr("experiment.yaml", TEXT)
    store.write("dropped/flu.zip", stream.getvalue())

    problem = located(store, Problem("no such place", path=("tasks", "populations")))

    assert (problem.file, problem.line) == ("flu.zip/experiment.yaml", 10)


def test_a_problem_without_a_path_gets_no_line_and_one_with_a_line_keeps_it(tmp_path):
    """A wrong line would be worse than none."""
    store = FileObjectStore(tmp_path)
    store.write("dropped/flu.yaml", TEXT.encode())

    assert located(store, Problem("nothing works")).line is None
    assert located(store, Problem("here", "basemodel.yaml", 3, 1)).line == 3
    assert located(FileObjectStore(tmp_path / "empty"), Problem("x", path=("model",))).line is None
