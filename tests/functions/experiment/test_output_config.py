"""A new configuration of the outputs: what it may contain, and where its problems are reported."""

from __future__ import annotations

import pytest

from epydrop.errors import BadInput
from epydrop.experiment import Experiment, read_experiment, with_output_config
from epydrop.experiment.output_config import read_output_config

OF_EPYDEMIX = b"model: {a: 1}\noutputs: {trajectories: false}\n"
OF_EPYMODELINGSUITE = b"suite: epymodelingsuite\nconfig: {basemodel: base.yml, output: first.yml}\n"
OF_A_HUB = b"""
model:
  calibration: {target_variable: Infected_to_Hospitalized_total}
  projection: {n_simulations: 10}
data: {file: admissions.csv, location_column: null, fitting_window: {start_date: 2026-10-10, end_date: 2026-11-21}}
outputs: {hub: {reference_date: 2026-11-28}}
"""


def the_experiment(text: bytes = OF_EPYDEMIX) -> Experiment:
    return read_experiment(text, "flu.yaml", "flu")


def problem_with(text: bytes, experiment: Experiment) -> str:
    with pytest.raises(BadInput) as caught:
        read_output_config(text, "more.yaml", experiment)
    (problem,) = caught.value.problems
    return str(problem)


def test_other_outputs_take_the_place_of_the_experiments_own():
    """As a whole: a key that is left out has its default, not the experiment's value."""
    config = read_output_config(b"outputs: {quantiles: [0.1, 0.9]}", "more.yaml", the_experiment())

    outputs = with_output_config(the_experiment(), config).outputs

    assert (outputs.quantiles, outputs.trajectories) == ((0.1, 0.9), True)


def test_the_suite_epymodelingsuite_takes_its_own_file():
    """It begins with ``output:``, as that package requires."""
    config = read_output_config(b"output: {posteriors: true}", "more.yaml", the_experiment(OF_EPYMODELINGSUITE))

    section = with_output_config(the_experiment(OF_EPYMODELINGSUITE), config).config

    assert section is not None
    assert (section.basemodel, section.output) == ("base.yml", {"output": {"posteriors": True}})


def test_outputs_without_the_hub_file_keep_the_end_that_it_implied():
    """The projection has been computed; its end need not be given again."""
    config = read_output_config(b"outputs: {quantiles: [0.5]}", "more.yaml", the_experiment(OF_A_HUB))

    found = with_output_config(the_experiment(OF_A_HUB), config)

    assert (found.outputs.quantiles, found.outputs.hub) == ((0.5,), None)
    assert found.model is not None
    assert found.model["projection"]["simulation"]["end_date"] == "2026-12-19"


def test_a_later_hub_file_needs_a_longer_projection():
    """Weeks that were not projected cannot be published; an earlier hub file has all its weeks."""
    later, earlier = b"outputs: {hub: {reference_date: 2026-12-05}}", b"outputs: {hub: {reference_date: 2026-11-21}}"

    assert "the projection ends on 2026-12-19" in problem_with(later, the_experiment(OF_A_HUB))
    assert read_output_config(earlier, "more.yaml", the_experiment(OF_A_HUB))


def test_no_configuration_leaves_the_experiment_as_it_is():
    assert with_output_config(the_experiment(), {}) == the_experiment()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"outputs: {quantiles: [2]}", "more.yaml:1:23: outputs.quantiles[0]: "),
        (b"outputs:\n  quantils: [0.5]", "more.yaml:2:3: 'quantils' is not a key of 'outputs' (did you mean"),
        (b"outputs: [1]", "more.yaml:1: expected keys and values under 'outputs', got a list"),
        (b"output: {}", "more.yaml:1:1: 'output' is not a key of the output configuration"),
        (b"model: {}", "more.yaml:1:1: 'model' is not a key of the output configuration"),
        (b"outputs: {hub: {reference_date: 2026-11-28}}", "more.yaml:1:16: outputs.hub: a hub file needs 'data'"),
        (b"", "more.yaml:1:1: the file is empty"),
    ],
)
def test_each_mistake_is_refused_at_its_line_and_column(text: bytes, expected: str):
    """With the same messages as in an experiment."""
    assert problem_with(text, the_experiment()).startswith(expected)


def test_a_kick_without_a_file_gets_the_problem_without_a_line():
    """Its configuration is JSON."""
    with pytest.raises(BadInput, match=r"the output configuration: outputs\.formats: expected at least one"):
        with_output_config(the_experiment(), {"outputs": {"formats": []}})
