"""The sections of a forecast: what they must agree on, each conflict reported at its position."""

from __future__ import annotations

import copy
import json

import pytest

from epydrop.errors import BadInput
from epydrop.experiment import Experiment, read_experiment

FORECAST = {
    "model": {
        "simulation": {"start_date": "2026-10-01"},
        "calibration": {
            "target_variable": "Infected_to_Hospitalized_total",
            "priors": {"transmission_rate": {"low": 0.1, "high": 0.9}},
        },
        "projection": {},
    },
    "data": {"file": "flu.csv", "fitting_window": {"start_date": "2026-10-10", "end_date": "2026-11-21"}},
    "scenarios": {"usual": {}, "masks": {"interventions": []}},
    "outputs": {"hub": {"reference_date": "2026-11-28", "scenario": "usual"}},
    "tasks": {"populations": ["A", "B"]},
}
REMOVED = object()


def read(changes: dict[str, object]) -> Experiment:
    """The experiment with other values at some dotted paths; as JSON, which is YAML and so has lines."""
    document = copy.deepcopy(FORECAST)
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = document
        for step in parents:
            place = place[step]
        if value is REMOVED:
            del place[last]
        else:
            place[last] = value
    return read_experiment(json.dumps(document, indent=1).encode(), "flu.yaml", "flu")


def test_a_forecast_leaves_out_the_dates_that_follow_from_others():
    """The calibration ends with the fitting window, the projection with the hub's last week."""
    assert read({}).outputs.hub.reference_date.isoformat() == "2026-11-28"
    assert read({"outputs": {}, "model.projection": {"simulation": {"end_date": "2026-12-19"}}}).outputs.hub is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"model.calibration.target_variable": REMOVED},
            "model.calibration: 'target_variable' is missing: it names what the data count",
        ),
        (
            {"model.simulation.end_date": "2026-11-30"},
            "model.simulation.end_date: a calibration to 'data' ends with the fitting window, on 2026-11-21, not on",
        ),
        (
            {"outputs": {}},
            "model.projection: the projection has no end (for example simulation: {end_date: 2026-12-19})",
        ),
        (
            {"outputs": {}, "model.projection": {"simulation": {"end_date": "2026-11-21"}}},
            "model.projection.simulation.end_date: expected a date after the fitting window, which ends on 2026-11-21",
        ),
        (
            {"model.projection": {"simulation": {"start_date": "2026-11-22"}}},
            "model.projection.simulation.start_date: a projection continues the accepted simulations",
        ),
        (
            {"model.projection": {"simulation": {"end_date": "2026-12-12"}}},
            "outputs.hub: the projection ends on 2026-12-12, before the hub's last week ends on 2026-12-19",
        ),
        (
            {"model.projection": {"parameters": {"transmission_rate": 0.2}}},
            "model.projection.parameters.transmission_rate: 'transmission_rate' has a prior, so a projection takes it",
        ),
        (
            {"scenarios.masks": {"parameters": {"transmission_rate": 0.2}}},
            "scenarios.masks.parameters.transmission_rate: 'transmission_rate' has a prior",
        ),
        ({"scenarios.masks": {"interventions": {}}}, "scenarios.masks.interventions: expected a list, got keys and"),
        ({"scenarios.masks": {"parameters": []}}, "scenarios.masks.parameters: expected keys and values, got a list"),
        (
            {"data.location_column": None},
            "data.location_column: without a column of locations a file has one location, and there are 2",
        ),
        ({"data.names": {"a": "US-MA"}}, "data.names.a: this is not a population of the experiment (there is A, B)"),
        (
            {"outputs.hub.reference_date": "2026-11-14"},
            "outputs.hub.reference_date: the fitting window ends on 2026-11-21, after the reference date",
        ),
        (
            {"model.calibration.target_variable": "Hospitalized_total"},
            "model.calibration.target_variable: the hub counts admissions in a week, and 'Hospitalized_total' is not a",
        ),
        ({"outputs.hub.scenario": None}, "outputs.hub: choose the scenario to submit (scenario: usual)"),
        ({"outputs.hub.scenario": "usul"}, "outputs.hub.scenario: there is no scenario 'usul' (did you mean 'usual'?)"),
        ({"data.period": "day"}, "outputs.hub: the hub's forecasts are weekly, so the data must be too"),
        ({"tasks.grid": {"parameters.x": [1, 2]}}, "outputs.hub: a hub file has one forecast per location"),
    ],
)
def test_sections_that_contradict_each_other_are_refused(changes, expected):
    """One problem for each, with a line."""
    with pytest.raises(BadInput) as caught:
        read(changes)

    (problem,) = caught.value.problems
    assert expected in str(problem)
    assert problem.line is not None


def test_without_populations_the_one_location_has_a_name():
    """That of the model's population, or simply "population"."""
    names = {"tasks": {}, "data.names": {"population": "US-MA"}}

    assert read(names).data.names == {"population": "US-MA"}
    assert read({"tasks": {}, "data.location_column": None}).data.location_column is None
