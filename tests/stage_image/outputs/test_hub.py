"""The FluSight hub file: the hub's rules, the rows of a projection, and that nothing invalid is written."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.weekly import CASES, weekly

from epydrop.experiment import read_experiment
from epydrop.experiment.hub_formats import HUB_FORMATS
from epydrop_stages.contract.results import Observations, Result, Trajectories
from epydrop_stages.outputs.hub.file import hub_file_name, write_hub_file
from epydrop_stages.outputs.hub.location_forecast import location_forecast, trend_shares
from epydrop_stages.outputs.hub.locations import hub_problems
from epydrop_stages.outputs.hub.rows import problems_of_rows
from epydrop_stages.outputs.pooled_point import PooledPoint

FLUSIGHT = HUB_FORMATS["flusight"]
TRENDS = FLUSIGHT.trends
REFERENCE = date(2026, 2, 7)
DAYS = np.arange(np.datetime64("2026-01-04"), np.datetime64("2026-03-01"))
BASELINE = 480.0


def experiment(scenario=None, **changes):
    hub = {"reference_date": str(REFERENCE), "rate_trends": True, "scenario": scenario}
    document = weekly(outputs__hub=hub, model__projection={"n_simulations": 5}, **changes)
    return read_experiment(json.dumps(document).encode(), "weekly.yaml", "weekly")


def pool(location="population", runs=7, days=DAYS, seed=1, scenario="") -> PooledPoint:
    rng = np.random.default_rng(seed)
    daily = rng.integers(0, 400, (runs, len(days))).astype(float)
    projection = Trajectories("projection", days, {CASES: daily}, np.full(runs, 1 / runs), scenario)
    dates = np.array(["2026-01-10", "2026-01-31", "2026-02-07"], "datetime64[D]")
    observed = Observations(CASES, "week", dates, np.array([60, BASELINE, 999.0]), np.array([True, True, False]))
    return PooledPoint(location, {}, [(None, Result((projection,), 8000.0, 1.0, None, observed))])


@pytest.fixture
def rows():
    return list(location_forecast(pool(), experiment()).rows)


# -- rows of a projection ----------------------------------------------------------------------


def test_quantiles_are_those_of_weekly_sums(rows):
    """Whole numbers, from the week before the reference date to three weeks after it."""
    assert problems_of_rows(rows, FLUSIGHT) == []
    daily = pool().first.trajectories[0].variables[CASES]
    for horizon in range(-1, 4):
        found = {
            row.output_type_id: row.value for row in rows if (row.target, row.horizon) == (FLUSIGHT.target, horizon)
        }
        end = 34 + 7 * horizon
        weeks = daily[:, end - 6 : end + 1].sum(axis=1)
        assert list(found.values()) == np.rint(np.quantile(weeks, FLUSIGHT.levels)).tolist()
        assert list(found)[:3] == ["0.01", "0.025", "0.05"]


def test_a_trend_is_the_change_since_the_reported_baseline_week(rows):
    """For each simulation, against the observation that the calibration used."""
    found = [row.value for row in rows if (row.target, row.horizon) == (TRENDS.target, 2)]

    weeks = pool().first.trajectories[0].variables[CASES][:, 42:49].sum(axis=1)
    expected = trend_shares(weeks - BASELINE, np.full(7, 1 / 7), 7_136_171, 2, TRENDS)
    assert found == list(expected.values())


def test_without_a_reported_baseline_each_simulation_has_its_own():
    """When the fitting window ends before the baseline week."""
    early = pool()
    observed = early.first.observed
    unseen = replace(observed, fitted=np.array([True, False, False]))
    early = PooledPoint("population", {}, [(None, replace(early.first, observed=unseen))])

    found = [
        row.value
        for row in location_forecast(early, experiment()).rows
        if (row.target, row.horizon) == (TRENDS.target, 0)
    ]

    daily = early.first.trajectories[0].variables[CASES]
    changes = daily[:, 28:35].sum(axis=1) - daily[:, 21:28].sum(axis=1)
    assert found == list(trend_shares(changes, np.full(7, 1 / 7), 7_136_171, 0, TRENDS).values())


def test_the_named_scenario_goes_to_the_hub():
    """Neither the first nor the last of three."""
    chosen = experiment("b", scenarios={"a": {}, "b": {}, "c": {}})
    parts = [pool(seed=seed, scenario=name).first.trajectories[0] for seed, name in enumerate("abc")]
    three = PooledPoint("population", {}, [(None, replace(pool().first, trajectories=tuple(parts)))])

    assert location_forecast(three, chosen).rows == location_forecast(pool(seed=1), experiment()).rows


def test_a_projection_that_ends_too_early_covers_the_horizons_it_can():
    """And reports the missing ones."""
    found = location_forecast(pool(days=DAYS[:-10]), experiment())

    assert {row.horizon for row in found.rows} == {-1, 0, 1}
    assert found.problems == (
        "population has no forecast at horizon 2",
        "population has no forecast at horizon 3",
    )


# -- rate trends -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "people", "horizon", "expected"),
    [
        (9, 100_000, 0, "stable"),  # fewer than ten admissions
        (10, 100_000, 0, "large_increase"),
        (-10, 100_000, 0, "large_decrease"),
        (29, 10_000_000, 0, "stable"),  # 0.29 per 100 000
        (30, 10_000_000, 0, "increase"),
        (-169, 10_000_000, 0, "decrease"),
        (170, 10_000_000, 0, "large_increase"),
        (-49, 10_000_000, 1, "stable"),
        (-300, 10_000_000, 1, "large_decrease"),
        (399, 10_000_000, 2, "increase"),
        (70, 10_000_000, 2, "increase"),
        (-99, 10_000_000, 3, "stable"),
        (500, 10_000_000, 3, "large_increase"),
        (-499, 10_000_000, 3, "decrease"),
    ],
)
def test_categories_change_at_the_thresholds_of_the_hub(change, people, horizon, expected):
    """Appendix 1 of its README."""
    shares = trend_shares(np.array([float(change)]), np.ones(1), people, horizon, TRENDS)

    assert [category for category, share in shares.items() if share == 1.0] == [expected]


changes = st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=50)


@given(changes, st.sampled_from([600_000, 40_000_000]), st.integers(0, 3))
def test_probabilities_add_up_to_one_and_mirror_with_the_sign(values, people, horizon):
    """A decrease is as likely as the increase of the negated changes."""
    weights = np.full(len(values), 1 / len(values))

    shares = trend_shares(np.array(values, dtype=float), weights, people, horizon, TRENDS)
    turned = trend_shares(-np.array(values, dtype=float), weights, people, horizon, TRENDS)

    assert abs(sum(shares.values()) - 1) < 1e-9
    assert list(shares.values()) == list(turned.values())[::-1]
    assert list(shares) == list(TRENDS.categories)


# -- the hub's rules ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"value": 3.5}, "quantiles of hospital admissions must be whole numbers"),
        ({"value": -1.0}, "every value must be finite and at least 0"),
        ({"value": float("nan")}, "every value must be finite and at least 0"),
        ({"value": 9e6}, "9000000 hospital admissions are not fewer than the population, 7136171"),
        ({"output_type_id": "0.99"}, "expected one quantile for each of 0.01, 0.025"),
        ({"output_type": "pmf"}, "expected one quantile for each of 0.01, 0.025"),
        ({"target_end_date": date(2026, 1, 30)}, "target_end_date must be the reference date plus as many weeks"),
        ({"horizon": 4}, "the hub does not ask for this horizon of the target"),
        ({"location": "3"}, "this is not a FIPS code that the hub knows"),
        ({"location": "99"}, "this is not a FIPS code that the hub knows"),
        ({"reference_date": date(2026, 2, 8)}, "the reference date 2026-02-08 is not a Saturday"),
        ({"target": "wk inc flu prop ed visits"}, "unsupported target"),
    ],
)
def test_a_row_that_breaks_a_rule_is_reported(rows, changed, expected):
    """Each rule with its own sentence."""
    rows[21] = replace(rows[21], **changed)

    assert any(expected in problem for problem in problems_of_rows(rows, FLUSIGHT))


def test_missing_and_duplicate_rows_are_reported(rows):
    """Every quantile and category is required exactly once."""
    assert problems_of_rows(rows[1:], FLUSIGHT) != []
    assert problems_of_rows([*rows, rows[-1]], FLUSIGHT) != []
    assert problems_of_rows([], FLUSIGHT) == [
        "no location has a forecast that the hub would accept, so there is no file"
    ]


def test_decreasing_quantiles_and_wrong_sums_are_reported(rows):
    """Each with its location, target and horizon."""
    rows[0], rows[-1] = replace(rows[0], value=rows[1].value + 1), replace(rows[-1], value=rows[-1].value / 2 + 0.25)

    falling, wrong = problems_of_rows(rows, FLUSIGHT)

    assert falling.endswith("horizon -1: quantiles must not decrease from one level to the next")
    assert "horizon 3: probabilities must add up to 1, not to " in wrong


# -- the file ----------------------------------------------------------------------------------


def test_the_file_has_the_name_and_the_columns_of_the_hub(tmp_path, rows):
    """Plain CSV with line feeds and whole numbers."""
    forecast = location_forecast(pool(), experiment())
    hub = experiment().outputs.hub
    name = hub_file_name(hub.reference_date, hub.model_id)

    path, problems = write_hub_file([forecast], ["population"], FLUSIGHT, tmp_path / name)

    assert (name, problems) == ("hub/2026-02-07-epydrop-epydemix.csv", [])
    with path.open(newline="") as file:
        first, *others = list(csv.DictReader(file))
    assert first == {
        "reference_date": "2026-02-07",
        "target": "wk inc flu hosp",
        "horizon": "-1",
        "target_end_date": "2026-01-31",
        "location": "25",
        "output_type": "quantile",
        "output_type_id": "0.01",
        "value": f"{rows[0].value:.0f}",
    }
    assert len(others) + 1 == len(rows) == 5 * 23 + 4 * 5
    assert b"\r" not in path.read_bytes()


def test_an_invalid_file_is_not_written(tmp_path):
    """The problems are returned instead."""
    forecast = location_forecast(pool(), experiment())
    spoiled = replace(forecast, rows=forecast.rows[1:])

    path, problems = write_hub_file([spoiled], ["population"], FLUSIGHT, tmp_path / "hub/x.csv")

    assert path is None
    assert problems[0].startswith("location 25, wk inc flu hosp, horizon -1: expected one quantile")
    assert not (tmp_path / "hub").exists()


def test_a_missing_location_is_reported_and_the_others_are_written(tmp_path):
    """A partial run has a file, too."""
    forecast = location_forecast(pool(), experiment())

    path, problems = write_hub_file([forecast], ["population", "Narnia"], FLUSIGHT, tmp_path / "x.csv")

    assert path is not None
    assert problems == ["Narnia has no forecast"]


def test_the_builder_reports_locations_and_weeks_that_the_hub_does_not_know():
    """All of them at once, and two populations for one location."""
    seen = pool().first.observed
    sundays = replace(seen, dates=seen.dates + 1)

    found = [problem.message for problem in hub_problems(experiment(), {"Narnia": seen, "US-MA": sundays, "25": seen})]

    assert found == [
        "outputs: hub: 'Narnia' is not a state, territory or country that FluSight forecasts",
        "outputs: hub: the hub's weeks end on Saturdays, those of US-MA in the data on Sundays",
        "outputs: hub: US-MA and 25 are both location 25, Massachusetts",
    ]
