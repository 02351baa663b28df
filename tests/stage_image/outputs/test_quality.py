"""The quality checks: what each finds, what it passes, and its sentence and numbers."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from support.made_up_epidemics import ADMISSIONS, STATES, Rates, epidemics, forecast_run

from epydrop.experiment import read_experiment
from epydrop_stages.contract.results import Posterior, Result, Trajectories
from epydrop_stages.contract.suite import TaskKey, TaskLine
from epydrop_stages.outputs.pooled_point import PooledPoint
from epydrop_stages.outputs.quality import observation_checks, trajectory_checks
from epydrop_stages.outputs.quality.calibration_checks import calibration_findings, diagnose
from epydrop_stages.outputs.quality.findings import CHECKS, Finding, Severity, grade, plain_number, worst
from epydrop_stages.outputs.quality.location_checks import location_findings
from epydrop_stages.outputs.quality.run_quality import (
    PointQuality,
    RunQuality,
    forecast_findings,
    hub_findings,
    of_main_scenario,
)

COMPARTMENTS = ("Susceptible_total", "Infected_total", "Hospitalized_total", "Recovered_total")
PRIORS = {"rate": stats.uniform(0, 1)}


def line(index, location="here", chain=0):
    return TaskLine(index, TaskKey(location, {}, chain), 1)


def pool(*results):
    return PooledPoint("here", {}, [(line(index, chain=index), result) for index, result in enumerate(results)])


@pytest.fixture
def simulated():
    """Five epidemics among a thousand people."""
    rng = np.random.default_rng(1)
    found = epidemics(1000.0, Rates(np.full(5, 0.6), np.full(5, 0.01)), rng, 30)
    days = np.arange("2026-01-01", "2026-01-31", dtype="datetime64[D]")
    return Result((Trajectories("simulation", days, found, np.full(5, 0.2)),), 1000.0, 1.0)


def changed(result, name, run, day, value):
    """The same result with one other number."""
    part = result.trajectories[0]
    values = part.variables[name].copy()
    values[run, day] = value
    return replace(result, trajectories=(replace(part, variables={**part.variables, name: values}),))


def calibrated(values, weights=None, distances=None):
    count = len(values)
    weights = np.full(count, 1 / count) if weights is None else weights
    distances = np.ones(count) if distances is None else distances
    return Result((), 1000.0, 1.0, Posterior({"rate": np.asarray(values)}, weights, distances))


def diagnosed(*results, priors=PRIORS):
    """The finding of each check of a calibration."""
    chains = pool(*results)
    found = diagnose(chains, chains.posterior(), priors)
    return {finding.check: finding for finding in calibration_findings(found)}


# -- numbers -----------------------------------------------------------------------------------


def test_sound_simulations_pass(simulated):
    """All finite, and the population is conserved."""
    point = pool(simulated)

    assert trajectory_checks.finite(point, point.trajectories()).severity is Severity.PASS
    assert [f.severity for f in trajectory_checks.population(point, point.trajectories(), COMPARTMENTS)] == [
        Severity.PASS
    ]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_not_finite_fails(simulated, value):
    """With its place and count."""
    point = pool(changed(simulated, "Infected_total", 2, 3, value))

    found = trajectory_checks.finite(point, point.trajectories())

    assert (found.severity, found.numbers) == (Severity.FAIL, {"values": 1})
    assert "Infected_total" in found.sentence


def test_a_population_that_changes_fails(simulated):
    """One of five simulations loses one person on one day."""
    value = simulated.trajectories[0].variables["Susceptible_total"][2, 3] - 1
    point = pool(changed(simulated, "Susceptible_total", 2, 3, value))

    (found,) = trajectory_checks.population(point, point.trajectories(), COMPARTMENTS)

    assert found.severity is Severity.FAIL
    assert found.numbers["largest_drift"] == 1.0
    assert "in 1 of 5 simulations (simulation) people appear or vanish" in found.sentence


@pytest.mark.parametrize(
    ("size", "severity"), [(1003.0, Severity.PASS), (1006.0, Severity.WARN), (1100.0, Severity.FAIL)]
)
def test_a_sum_that_differs_from_the_population_is_graded(simulated, size, severity):
    """Up to one person a compartment is rounding; a tenth of the population is an error."""
    point = pool(replace(simulated, population=size))

    (found,) = trajectory_checks.population(point, point.trajectories(), COMPARTMENTS)

    assert found.severity is severity


def test_an_open_population_is_not_checked(simulated):
    """Without compartments that hold the whole population there is no finding."""
    point = pool(simulated)

    assert list(trajectory_checks.population(point, point.trajectories(), ())) == []


def test_crossing_quantiles_fail_and_rounding_errors_pass():
    """With the number of days."""
    point, part = pool(calibrated([0.5])), Trajectories("simulation", np.arange(3), {}, np.ones(1))

    found = trajectory_checks.crossing_quantiles(point, part, "x", np.array([[1.0, 2.0, 3.0], [2.0, 1.5, 2.0]]))

    assert (found.severity, found.numbers) == (Severity.FAIL, {"days": 2})
    assert trajectory_checks.crossing_quantiles(point, part, "x", np.array([[1.0], [1.0 - 1e-13]])) is None


# -- calibrations ------------------------------------------------------------------------------


def test_a_sound_calibration_passes():
    """Two chains of two hundred particles in the middle of the prior."""
    rng = np.random.default_rng(2)

    found = diagnosed(*(calibrated(rng.normal(0.5, 0.05, 200)) for _ in range(2)))

    assert {finding.severity for finding in found.values()} == {Severity.PASS}
    assert set(found) == {"effective_sample_size", "chains", "distance", "prior_bounds", "contraction"}


@pytest.mark.parametrize(("count", "severity"), [(120, Severity.PASS), (40, Severity.WARN), (6, Severity.FAIL)])
def test_the_effective_sample_size_is_graded(count, severity):
    """Below ten effective particles an interval means nothing."""
    found = diagnosed(calibrated(np.linspace(0.4, 0.6, count)))["effective_sample_size"]

    assert (found.severity, found.numbers["effective_sample_size"]) == (severity, pytest.approx(count))


def test_chains_that_disagree_fail():
    """With the name of the parameter."""
    rng = np.random.default_rng(3)

    found = diagnosed(calibrated(rng.normal(0.3, 0.02, 200)), calibrated(rng.normal(0.7, 0.02, 200)))["chains"]

    assert found.severity is Severity.FAIL
    assert "the 2 chains differ most in rate" in found.sentence


def test_a_chain_that_fits_worse_gives_a_warning():
    """Its accepted distances are larger than those of the other."""
    close, far = (calibrated(np.linspace(0.4, 0.6, 60), distances=np.full(60, far)) for far in (1.0, 2.0))

    assert diagnosed(close, far)["distance"].severity is Severity.WARN
    assert diagnosed(close, close)["distance"].severity is Severity.PASS


def test_a_posterior_at_the_bound_of_its_prior_gives_a_warning():
    """With the side."""
    found = diagnosed(calibrated(np.linspace(0.9, 1.0, 100)))["prior_bounds"]

    assert found.severity is Severity.WARN
    assert "at the upper bound" in found.sentence


def test_a_posterior_as_wide_as_its_prior_gives_a_warning():
    """The data had no information about it."""
    found = diagnosed(calibrated(np.linspace(0.0, 1.0, 100)))["contraction"]

    assert found.severity is Severity.WARN
    assert found.numbers["contraction"] < 0.1


def test_a_parameter_without_a_prior_passes_the_checks_of_priors():
    """Contraction and bounds are undefined for it."""
    found = diagnosed(calibrated(np.linspace(0, 1, 100)), priors={})

    assert {found[check].severity for check in ("contraction", "prior_bounds")} == {Severity.PASS}


# -- beside the data ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forecast(tmp_path_factory):
    """One point and its experiment: two scenarios, four weeks held back."""
    run = forecast_run(tmp_path_factory.mktemp("run"), STATES[:1], scenarios=("as_now", "closed"), simulations=60)
    results = [(line(index), run.compute(key, np.random.default_rng(index))) for index, key in enumerate(run.keys)]
    return PooledPoint(run.keys[0].location, {}, results), read_experiment(run.text.encode(), "e.yaml", "e")


def test_the_fit_passes_for_its_data_and_warns_for_others(forecast):
    """Three times the admissions are outside the 95 % band."""
    point, _ = forecast
    (first, result), *_ = point.chains
    other = replace(result.observed, values=3 * result.observed.values + 50)
    misfit = PooledPoint(point.location, {}, [(first, replace(result, observed=other))])

    assert observation_checks.fit_finding(point, point.trajectories()).severity is Severity.PASS
    assert observation_checks.fit_finding(misfit, misfit.trajectories()).severity is Severity.WARN


def test_only_held_back_observations_are_scored(forecast):
    """Four weeks of each scenario; none if none was held back."""
    point, experiment = forecast
    scores = list(observation_checks.scores_of(point, point.trajectories()))
    observed = replace(point.first.observed, fitted=np.ones_like(point.first.observed.fitted))
    everything = PooledPoint(point.location, {}, [(line(0), replace(point.first, observed=observed))])

    assert [(score.scenario, score.count) for score in scores] == [("as_now", 4), ("closed", 4)]
    assert [score.scenario for score in of_main_scenario(scores, experiment)] == ["as_now"]
    assert list(observation_checks.scores_of(everything, everything.trajectories())) == []


def test_the_score_is_that_of_weekly_sums(forecast):
    """Daily simulations are summed over the weeks of the data."""
    point, _ = forecast
    score = next(iter(observation_checks.scores_of(point, point.trajectories())))
    part, observed = point.trajectories()[1], point.first.observed
    weekly = part.variables[ADMISSIONS][:, -28:].reshape(len(part.weights), 4, 7).sum(axis=2)
    medians = np.median(weekly, axis=0)

    assert score.absolute_error == pytest.approx(np.abs(medians - observed.values[~observed.fitted]).mean())


def score(count, covered, wis=1.0, baseline=2.0):
    shares = dict(zip(observation_checks.SHARES, covered, strict=True))
    return observation_checks.Score("here", "", {}, count, wis, baseline, 1.0, shares)


def test_forecasts_are_judged_together():
    """Coverage needs ten held-back observations, skill only one."""
    good = forecast_findings([score(4, (2, 3, 4))] * 3)
    narrow = forecast_findings([score(4, (0, 1, 2), wis=3.0)] * 3)
    few = forecast_findings([score(4, (0, 0, 0), baseline=0.0)])

    assert {finding.severity for finding in good} == {Severity.PASS}
    assert [(finding.check, finding.severity) for finding in narrow] == [
        ("coverage", Severity.WARN),
        ("skill", Severity.WARN),
    ]
    assert list(few) == []


# -- the whole run -----------------------------------------------------------------------------


def test_every_planned_and_every_required_location_has_a_finding():
    """Missing, incomplete, complete, and not planned."""
    missing = [line(0, "gone"), line(1, "gone"), line(2, "thin")]

    found = location_findings({"gone": 2, "thin": 3, "whole": 4}, missing, ["gone", "elsewhere"])

    assert [(finding.location, str(finding.severity)) for finding in found] == [
        ("gone", "fail"),
        ("thin", "warn"),
        ("whole", "pass"),
        ("elsewhere", "fail"),
    ]


def test_each_problem_of_the_hub_file_fails():
    """A file without problems passes."""
    assert [finding.severity for finding in hub_findings(["a week is missing"])] == [Severity.FAIL]
    assert [finding.severity for finding in hub_findings([])] == [Severity.PASS]


def test_the_worst_finding_is_the_verdict_and_comes_first():
    """In quality.json and in the list; infinity becomes null."""
    quality = RunQuality()
    quality.add(PointQuality.of([Finding("finite", Severity.PASS, "x"), Finding("fit", Severity.WARN, "y", "b")]))
    quality.add(PointQuality.of([Finding("chains", Severity.FAIL, "z", "a", numbers={"rhat": float("inf")})]))

    document = json.loads(quality.to_json("run"))

    assert (quality.verdict, document["quality"]) == (Severity.FAIL, "fail")
    assert [finding.check for finding in quality.findings] == ["chains", "fit"]
    assert [(check["id"], check["severity"], check["passed"]) for check in document["checks"]] == [
        ("chains", "fail", 0),
        ("fit", "warn", 0),
        ("finite", "pass", 1),
    ]
    assert document["checks"][0]["findings"][0]["numbers"] == {"rhat": None}
    assert list(quality.passed()) == ["finite"]


def test_checks_have_ranks_and_grades_follow_their_thresholds():
    """Where small is bad, where large is bad, and for nan."""
    assert all(Finding(check, Severity.WARN, "").rank for check in CHECKS)
    assert [grade(value, warn=100, fail=10) for value in (200, 50, 5)] == [Severity.PASS, Severity.WARN, Severity.FAIL]
    assert [grade(value, warn=1.05, fail=1.2) for value in (1.0, 1.1, 2)] == [
        Severity.PASS,
        Severity.WARN,
        Severity.FAIL,
    ]
    assert grade(float("nan"), warn=1, fail=2) is Severity.PASS
    assert worst([]) is Severity.PASS
    assert [plain_number(value) for value in (3.0, 0.12345678, float("nan"))] == [3, 0.123457, None]
