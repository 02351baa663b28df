"""A weekly forecast from its data to its tables: fit, held-back observations, scenarios, hub file."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
from support.weekly import CASES, WEEKS, csv_of, run_of, weekly

from epydrop.experiment import read_experiment
from epydrop_stages.contract.description import Columns
from epydrop_stages.inputs.observations import by_period
from epydrop_stages.outputs.tables.registry import layouts_of
from epydrop_stages.suites.epydemix import warnings
from epydrop_stages.suites.epydemix.compute import run_work
from epydrop_stages.suites.epydemix.sources import Sources
from epydrop_stages.suites.epydemix.tasks import points

MASKS = {"interventions": [{"layer": "all", "start_date": "2026-02-05", "end_date": "2026-02-21", "reduction": 0.2}]}


def work_of(folder: Path, document, text=None):
    """What the builder puts into the tasks of the only point."""
    folder.mkdir(exist_ok=True)
    (folder / "cases.csv").write_text(text or csv_of())
    experiment = read_experiment(json.dumps(document).encode(), "weekly.yaml", "weekly")
    sources = Sources(experiment, folder)
    sources.read_data()
    (point,) = points(experiment)
    return sources.work(point)


def table(run, name):
    (found,) = [file for file in run.names("outputs/") if file.endswith(f"/{name}.csv.gz")]
    return list(csv.DictReader(io.StringIO(gzip.decompress(run.store.read(found)).decode())))


# -- calibration -------------------------------------------------------------------------------


@pytest.mark.parametrize("dt", [1.0, 0.25])
def test_a_calibration_compares_whole_weeks(tmp_path, dt):
    """The distance of each particle is that of its weekly sums, whatever the time step."""
    result = run_work(work_of(tmp_path, weekly(model__simulation__dt=dt)), 3)

    fitted = result.trajectories[0]
    dates, sums = by_period(result.observed, fitted.dates, fitted.variables[CASES])
    assert [str(day) for day in dates] == list(WEEKS)[:4]
    distances = np.sqrt(np.mean((sums - list(WEEKS.values())[:4]) ** 2, axis=1))
    assert np.allclose(distances, result.posterior.distances)


def test_a_compartment_is_compared_at_the_end_of_the_week(tmp_path):
    """Prevalence is not summed over the week."""
    document = weekly(model__calibration__target_variable="Infected_total")

    result = run_work(work_of(tmp_path, document), 3)

    infected = result.trajectories[0].variables["Infected_total"][:, 6::7]
    distances = np.sqrt(np.mean((infected - list(WEEKS.values())[:4]) ** 2, axis=1))
    assert np.allclose(distances, result.posterior.distances)


def test_the_calibration_does_not_use_held_back_observations(tmp_path):
    """Other values after the fitting window leave posterior and projection unchanged."""
    other = {**WEEKS, "2026-02-07": 1, "2026-02-14": 1, "2026-02-21": 1}

    one = run_work(work_of(tmp_path / "a", weekly()), 3)
    two = run_work(work_of(tmp_path / "b", weekly(), csv_of(other)), 3)

    assert np.array_equal(one.posterior.values["transmission_rate"], two.posterior.values["transmission_rate"])
    assert np.array_equal(one.trajectories[1].variables[CASES], two.trajectories[1].variables[CASES])
    assert one.observed.fitted.tolist() == [True] * 4 + [False] * 3
    assert not np.array_equal(one.observed.values, two.observed.values)


# -- projection --------------------------------------------------------------------------------


def test_a_projection_continues_the_accepted_simulations(tmp_path):
    """Its past equals an accepted simulation exactly; its future varies."""
    result = run_work(work_of(tmp_path, weekly(model__projection__n_simulations=30)), 3)

    fitted, projection = (part.variables[CASES] for part in result.trajectories)
    days = fitted.shape[1]
    pasts = {tuple(row) for row in fitted}
    assert {tuple(row[:days]) for row in projection} <= pasts
    assert len({tuple(row) for row in projection}) == 30


def test_scenarios_differ_only_by_what_they_change(tmp_path):
    """Every simulation is the same until the first change; after it fewer are infected."""
    scenarios = {"usual": {}, "masks": MASKS, "again": {}}

    parts = run_work(work_of(tmp_path, weekly(scenarios=scenarios)), 3).trajectories

    assert [(part.kind, part.scenario) for part in parts] == [
        ("calibration", ""),
        ("projection", "usual"),
        ("projection", "masks"),
        ("projection", "again"),
    ]
    usual, masks, again = (part.variables[CASES] for part in parts[1:])
    before = int((parts[1].dates < np.datetime64("2026-02-05")).sum())
    assert np.array_equal(usual, again)
    assert np.array_equal(usual[:, :before], masks[:, :before])
    assert (usual[:, before:].sum(axis=1) > masks[:, before:].sum(axis=1)).all()


def test_a_scenario_adds_to_the_interventions_of_the_model(tmp_path):
    """An empty scenario keeps the interventions of the past, without which it would not fit the data."""
    closed = [{"layer": "all", "start_date": "2026-01-10", "end_date": "2026-01-20", "reduction": 0.5}]
    document = weekly(model__interventions=closed, scenarios={"usual": {}, "masks": MASKS})

    fitted, usual, masks = (part.variables[CASES] for part in run_work(work_of(tmp_path, document), 3).trajectories)

    days = fitted.shape[1]
    for projection in (usual, masks):
        assert {tuple(row[:days]) for row in projection} <= {tuple(row) for row in fitted}


def test_a_projection_that_changes_the_past_gives_a_warning():
    """Lists under 'projection' replace those of the model, as in epydemix."""
    closed = [{"layer": "all", "start_date": "2026-01-10", "end_date": "2026-01-20", "reduction": 0.5}]
    document = weekly(model__interventions=closed, model__projection__interventions=MASKS["interventions"])

    found = warnings(read_experiment(json.dumps(document).encode(), "weekly.yaml", "weekly"))

    assert any("projection.interventions replace those of the model" in warning for warning in found)


# -- a whole run -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A run with scenarios and a hub file, two chains."""
    document = weekly(
        scenarios={"usual": {}, "masks": MASKS},
        outputs__hub={"reference_date": "2026-02-07", "scenario": "usual"},
        model__projection={"n_simulations": 5},
        tasks={"chains": 2},
    )
    return run_of(tmp_path_factory.mktemp("forecast"), document).whole()


def test_forecasts_are_weekly_quantiles_of_the_observed_variable(published):
    """For each scenario and week, with its horizon, from the first fitted week on."""
    rows = table(published, "forecasts")

    assert list(rows[0]) == ["location", "scenario", "variable", "date", "horizon", "quantile", "value"]
    assert {row["scenario"] for row in rows} == {"usual", "masks"}
    usual = [row for row in rows if row["scenario"] == "usual" and row["quantile"] == "0.5"]
    assert [(row["date"], row["horizon"]) for row in usual] == [
        ("2026-01-10", "-4"),
        ("2026-01-17", "-3"),
        ("2026-01-24", "-2"),
        ("2026-01-31", "-1"),
        ("2026-02-07", "0"),
        ("2026-02-14", "1"),
        ("2026-02-21", "2"),
        ("2026-02-28", "3"),
    ]
    assert {row["variable"] for row in rows} == {CASES}


def test_the_hub_file_has_the_configured_scenario(published):
    """Its medians are those of the table, rounded."""
    (name,) = [file for file in published.names("outputs/") if "/hub/" in file]
    hub = list(csv.DictReader(io.StringIO(published.store.read(name).decode())))
    medians = [float(row["value"]) for row in hub if row["output_type_id"] == "0.5"]
    rows = table(published, "forecasts")
    wanted = [
        float(row["value"])
        for row in rows
        if (row["scenario"], row["quantile"]) == ("usual", "0.5") and int(row["horizon"]) >= -1
    ]

    assert name.endswith("/hub/2026-02-07-epydrop-epydemix.csv")
    assert np.abs(np.array(medians) - wanted).max() <= 0.5
    assert {row["location"] for row in hub} == {"25"}


def test_scenario_and_horizon_columns_exist_only_when_needed(published):
    """Without scenarios and without a hub they would always be empty."""
    plain = read_experiment(json.dumps(weekly()).encode(), "weekly.yaml", "weekly")

    layouts = layouts_of(plain, Columns(variables=[CASES], priors=["transmission_rate"]))

    assert {row["scenario"] for row in table(published, "trajectories")} == {"", "usual", "masks"}
    assert list(layouts) == ["quantiles", "model_metadata", "forecasts", "trajectories", "posteriors"]
    assert list(layouts["forecasts"].columns) == ["location", "variable", "date", "quantile", "value"]
    assert not [name for name in ("quantiles", "trajectories") if "scenario" in layouts[name].columns]


def test_the_same_experiment_publishes_the_same_bytes(published, tmp_path):
    """Tables and hub file, whatever the order of the tasks."""
    again = run_of(tmp_path, weekly())
    for name in published.names("dropped/"):
        again.store.write(name, published.store.read(name))
    again.store.write("experiment.yaml", published.store.read("experiment.yaml"))

    assert again.build() == 0
    assert again.compute([1, 0]) == [0, 0]
    assert again.publish() == 0

    assert again.table_digests() == published.table_digests()
    hubs = [[one.store.read(file) for file in one.names("outputs/") if "/hub/" in file] for one in (again, published)]
    assert hubs[0] == hubs[1]
