"""Seeds and points: a task's numbers depend on its own key and on nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.stage_run import SIR

from epydrop.errors import BadInput
from epydrop.experiment import read_experiment
from epydrop_stages.contract.suite import TaskKey, TaskLine
from epydrop_stages.suites.epydemix.tasks import points, set_at

keys = st.builds(
    TaskKey,
    st.text(min_size=1, max_size=20),
    st.dictionaries(st.text(min_size=1, max_size=10), st.floats(allow_nan=False) | st.integers() | st.text(max_size=5)),
    st.integers(0, 1000),
)
seeds = st.integers(0, 2**63 - 1)


def experiment(**tasks):
    text = SIR.replace("  grid: {parameters.recovery_rate: [0.2, 0.3]}\n  chains: 2\n", "  TASKS\n")
    body = "\n  ".join(f"{name}: {value}" for name, value in tasks.items())
    return read_experiment(text.replace("TASKS", body or "chains: 1").encode(), "x.yaml", "x")


def all_seeds(found):
    return {key: key.seed(found.seed) for key in tasks_of(found)}


def tasks_of(found):
    return [Hashable(key) for point in points(found) for key in point.keys(found.tasks.chains)]


class Hashable(TaskKey):
    """A key that a dict takes."""

    def __init__(self, key):
        super().__init__(key.location, key.parameters, key.chain)

    def __hash__(self):
        return hash(self.digest())


@given(key=keys, seed=seeds)
def test_a_seed_fits_what_epydemix_takes(key, seed):
    """Below 2**32, and the same each time."""
    assert 0 <= key.seed(seed) < 2**32
    assert key.seed(seed) == key.seed(seed)


@given(key=keys, seed=seeds)
def test_a_task_line_survives_its_file(key, seed):
    """One line of JSON, the same key and so the same seed."""
    line = TaskLine(12, key, key.seed(seed))

    text = line.to_json().decode()

    assert TaskLine.from_json(text) == line
    assert text.count("\n") == 1


def test_the_order_of_parameters_does_not_matter():
    """A key is what it says, not how it was put together."""
    assert TaskKey("a", {"x": 1, "y": 2}, 0).digest() == TaskKey("a", {"y": 2, "x": 1}, 0).digest()


def test_another_location_grid_point_or_chain_changes_no_seed():
    """Growing an experiment keeps all that was computed."""
    small = all_seeds(experiment(grid="{parameters.recovery_rate: [0.2]}", chains=1))
    large = all_seeds(experiment(grid="{parameters.recovery_rate: [0.1, 0.2, 0.3]}", chains=3))

    assert small.items() <= large.items()
    assert len(set(large.values())) == 9


def test_the_hypercube_has_the_same_points_everywhere():
    """Locations are compared at equal parameters; each point lies in its own row and column of the box."""
    found = experiment(populations="[A, B]", lhs="{n: 5, ranges: {parameters.transmission_rate: [0.2, 0.7]}}")

    by_location = {"A": [], "B": []}
    for point in points(found):
        by_location[point.location].append(point.parameters["parameters.transmission_rate"])

    assert by_location["A"] == by_location["B"]
    assert sorted(int((value - 0.2) / 0.1) for value in by_location["A"]) == [0, 1, 2, 3, 4]
    assert [point.location for point in points(found)] == ["A"] * 5 + ["B"] * 5
    alone = experiment(populations="[B]", lhs="{n: 5, ranges: {parameters.transmission_rate: [0.2, 0.7]}}")
    assert [point.parameters["parameters.transmission_rate"] for point in points(alone)] == by_location["B"]


def test_a_point_sets_its_values_and_leaves_the_rest():
    """The configuration of one point does not leak into the next."""
    found = list(points(experiment(grid="{parameters.recovery_rate: [0.2, 0.3]}")))

    assert [point.config["parameters"]["recovery_rate"] for point in found] == [0.2, 0.3]
    assert {point.config["parameters"]["transmission_rate"] for point in found} == {0.6}


@pytest.mark.parametrize("path", ["parameter.rate", "simulation.dt", "interventions.0.reduction", "model.type.x"])
def test_a_path_that_does_not_exist_is_refused(path):
    """The path is quoted."""
    with pytest.raises(BadInput, match=path):
        list(points(experiment(grid=f"{{{path}: [1, 2]}}")))


def test_lists_are_counted_from_zero():
    """An intervention can be varied."""
    config = {"interventions": [{"reduction": 1.0}, {"reduction": 1.0}]}

    set_at(config, "interventions.1.reduction", 0.5)

    assert config["interventions"] == [{"reduction": 1.0}, {"reduction": 0.5}]
