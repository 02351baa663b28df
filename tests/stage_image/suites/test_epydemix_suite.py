"""The epydemix suite computes what epydemix computes, and a stored population is as good as a loaded one."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from epydemix.cli.config import build_model_from_config, calibrate_from_config, run_from_config
from epydemix.model.epimodel import simulate
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support.stage_run import StageRun, experiment_in

from epydrop.experiment import read_experiment
from epydrop_stages.outputs.weighted import weighted_quantiles
from epydrop_stages.suites.epydemix.compute import run_work
from epydrop_stages.suites.epydemix.config_problems import problems_and_warnings, scenario_problems
from epydrop_stages.suites.epydemix.describe import derived
from epydrop_stages.suites.epydemix.model import Work, prepare
from epydrop_stages.suites.epydemix.populations import Populations
from epydrop_stages.suites.epydemix.variables import structure_of, variable_names
from epydrop_workstation.packing import pack

SIR = {
    "model": {"type": "SIR"},
    "population": {"size": 400},
    "parameters": {"transmission_rate": 0.8, "recovery_rate": 0.3},
    "simulation": {"start_date": "2026-01-01", "end_date": "2026-01-15", "n_simulations": 4},
    "initial_conditions": {"Susceptible": 395, "Infected": 5},
    "interventions": [
        {"layer": "all", "start_date": "2026-01-05", "end_date": "2026-01-08", "reduction": 0.5},
    ],
    "overrides": [
        {"start_date": "2026-01-10", "end_date": "2026-01-12", "parameter": "recovery_rate", "value": 0.6},
    ],
}

VACCINATED = {
    "model": {
        "type": "custom",
        "compartments": ["S", "V", "I", "R"],
        "transitions": [
            {"source": "S", "target": "V", "kind": "scheduled", "schedule": "doses.csv", "eligible": ["S", "R"]},
            {"source": "S", "target": "I", "kind": "mediated", "params": ["beta", "I"]},
            {"source": "I", "target": "R", "kind": "spontaneous", "params": "gamma"},
        ],
    },
    "population": {"name": "Island", "contact_layers": ["home", "school"]},
    "parameters": {"beta": 0.05, "gamma": 0.3},
    "simulation": {"start_date": "2026-01-01", "end_date": "2026-01-15", "n_simulations": 2},
    "initial_conditions": {"S": 0.99, "I": 0.01},
    "interventions": [
        {"layer": "school", "start_date": "2026-01-05", "end_date": "2026-01-08", "reduction": 0.1},
    ],
}
DOSES = b"date,0-4,5-19,20-49,50-64,65+\n2026-01-03,0,50,40,30,20\n2026-01-04,0,50,40,30,20\n"


def changed(config, **sections):
    return {**copy.deepcopy(config), **sections}


@pytest.fixture
def island(tmp_path, monkeypatch):
    """A small epydemix-data folder with one population, and the way to it."""
    folder = tmp_path / "data" / "v1.2.0"
    ages = [*map(str, range(84)), "84+"]
    (folder / "data/Island/demographic").mkdir(parents=True)
    (folder / "data/Island/contact_matrices/mistry_2021").mkdir(parents=True)
    (folder / "locations.csv").write_text("location,primary_contact_source\nIsland,mistry_2021\n")
    people = "group_name,value\n" + "".join(f"{age},{100 + position}\n" for position, age in enumerate(ages))
    (folder / "data/Island/demographic/age_distribution.csv").write_text(people)
    rng = np.random.default_rng(5)
    for layer in ("home", "school", "work", "community"):
        path = folder / f"data/Island/contact_matrices/mistry_2021/contacts_matrix_{layer}.csv"
        np.savetxt(path, rng.uniform(0, 0.2, (85, 85)), delimiter=",")
    monkeypatch.setattr("epydemix.population.population.EPYDEMIX_DATA_BASE_URL", "restored afterwards")
    return tmp_path / "data"


# -- the same numbers as epydemix --------------------------------------------------------------


@pytest.mark.parametrize("dt", [1.0, 0.25, 2.0])
@pytest.mark.filterwarnings("ignore:A future version of pandas will return a BaseOffset")
def test_a_simulation_is_that_of_epydemix(dt):
    """Same seed, same trajectories, whatever the step."""
    config = changed(SIR, simulation={**SIR["simulation"], "dt": dt, "seed": 11})

    (found,) = run_work(Work(config), 11).trajectories

    expected, _ = run_from_config(config)
    for name, values in found.variables.items():
        stacked = {**expected.get_stacked_compartments(), **expected.get_stacked_transitions()}[name]
        assert np.array_equal(values, stacked)
    assert list(found.dates) == list(np.array(expected.dates, dtype="datetime64[D]"))


@pytest.mark.filterwarnings("ignore:A future version of pandas will return a BaseOffset")
@pytest.mark.parametrize(
    "options",
    [
        {"strategy": "smc", "num_particles": 5, "num_generations": 3},
        {"strategy": "rejection", "num_particles": 3, "epsilon": 60.0},
        {"strategy": "top_fraction", "Nsim": 20, "top_fraction": 0.2},
    ],
)
def test_a_calibration_is_that_of_epydemix(options):
    """Same seed, same particles and distances, in every strategy."""
    priors = {"transmission_rate": {"distribution": "uniform", "low": 0.3, "high": 1.5}}
    calibration = {"observed_data": list(range(5, 50, 3)), "priors": priors, **options}
    config = changed(SIR, calibration=calibration, simulation={**SIR["simulation"], "seed": 12})

    found = run_work(Work(config), 12).posterior

    expected, _ = calibrate_from_config(config)
    assert np.array_equal(found.values["transmission_rate"], expected.get_posterior_distribution()["transmission_rate"])
    assert np.array_equal(found.distances, expected.get_distances())


def test_a_task_run_twice_gives_the_same_numbers():
    """Nothing but the seed decides."""
    config = changed(SIR, simulation={**SIR["simulation"], "dt": 0.5})
    first, again, other = (run_work(Work(config), seed).trajectories[0].variables for seed in (1, 1, 2))

    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not all(np.array_equal(first[name], other[name]) for name in first)


# -- populations -------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:A future version of pandas will return a BaseOffset")
def test_a_stored_population_is_as_good_as_a_loaded_one(island, tmp_path):
    """A custom model with doses by age and closed schools, with and without access to the data."""
    population = Populations({"EPYDEMIX_DATA": str(island)}).of(VACCINATED)
    (tmp_path / "doses.csv").write_bytes(DOSES)
    loaded = build_model_from_config(VACCINATED, config_dir=tmp_path)
    for file in island.rglob("*.csv"):
        file.unlink()
    work = Work(VACCINATED, population, {"doses.csv": DOSES})

    stored = prepare(work, tmp_path)

    window = {"start_date": "2026-01-01", "end_date": "2026-01-15", "initial_conditions_dict": stored.initial}
    expected, found = (simulate(model, **window, rng=3) for model in (loaded, stored.model))
    assert expected.transitions["S_to_V_total"].sum() > 0
    assert list(expected.compartments) == list(found.compartments)
    for name, values in {**expected.compartments, **expected.transitions}.items():
        assert np.array_equal(values, {**found.compartments, **found.transitions}[name])


def test_each_population_is_loaded_once_and_no_task_loads_any(island, tmp_path, monkeypatch):
    """The data may be gone when the tasks run."""
    monkeypatch.setenv("EPYDEMIX_DATA", str(island))
    text = """
    exp_id: island
    seed: 3
    model:
      model: {type: SEIR}
      parameters: {transmission_rate: 0.05}
      simulation: {start_date: "2026-01-01", end_date: "2026-01-10", n_simulations: 2}
    tasks: {populations: [Island], chains: 2}
    """
    run = StageRun.of(tmp_path / "run", text)
    assert run.build() == 0
    for file in island.rglob("*.csv"):
        file.unlink()

    assert run.compute() == [0, 0]


def test_the_model_of_a_point_names_its_variables():
    """Known without a simulation, because the tables need their columns first."""
    (found,) = run_work(Work(SIR), 1).trajectories

    assert variable_names([SIR]) == list(found.variables)
    assert structure_of(VACCINATED).infections == ("S_to_I",)
    assert structure_of(VACCINATED).infectious == ("I",)


# -- derived quantities and quantiles ----------------------------------------------------------


@pytest.mark.parametrize(("contacts", "r0"), [(1.0, 4.0), (2.5, 10.0)])
def test_r0_follows_from_both_rates_and_the_contacts(contacts, r0):
    """In a population without ages the contacts are 1."""
    found = derived(SIR, {"transmission_rate": 2.0, "recovery_rate": 0.5}, contacts)

    assert found == {"R0": r0, "infectious period": 2.0}
    assert derived(VACCINATED, {"beta": 1.0}, contacts) == {}


values = arrays.arrays(float, st.tuples(st.integers(1, 12), st.just(2)), elements=st.floats(-1e6, 1e6))
levels = st.lists(st.floats(0.01, 0.99), min_size=2, max_size=6, unique=True).map(sorted)


@given(values=values, levels=levels)
def test_with_equal_weights_the_quantiles_are_numpys(values, levels):
    """The weighted definition is an extension of the usual one."""
    weights = np.full(len(values), 1 / len(values))

    assert np.allclose(weighted_quantiles(values, weights, levels), np.quantile(values, levels, axis=0))


@given(values=values, levels=levels, data=st.data())
def test_weighted_quantiles_ascend_inside_the_values(values, levels, data):
    """And runs without weight do not count."""
    drawn = data.draw(st.lists(st.floats(0, 1), min_size=len(values), max_size=len(values)))
    weights = np.array(drawn) + np.eye(len(values))[0]

    found = weighted_quantiles(values, weights, levels)

    counted = values[weights > 0]
    span = 1e-9 * (1 + np.abs(values).max())
    assert (np.diff(found, axis=0) >= -span).all()
    assert (found >= counted.min(axis=0) - span).all()
    assert (found <= counted.max(axis=0) + span).all()


@pytest.mark.parametrize("name", ["boarding-school-1978", "scenario-sweep", "weekly-forecast"])
def test_the_examples_are_built(name, tmp_path, request):
    """What the README tells people to run is valid, to the last trial simulation."""
    folder = request.config.rootpath / "examples" / name
    dropped, data = pack(folder / "experiment.yaml")
    text = experiment_in(data) if dropped.endswith(".zip") else data.decode()
    run = StageRun.of(tmp_path / "run", text, data, dropped)

    assert read_experiment(text.encode(), dropped, name).exp_id == name
    assert run.build() == 0


SOUND = {
    "model": {"type": "SIR"},
    "population": {"name": "Island", "contact_layers": ["home", "school"]},
    "parameters": {"transmission_rate": 0.3, "recovery_rate": 0.2},
    "simulation": {"start_date": "2026-01-01", "end_date": "2026-03-01"},
}
SPAN = {"start_date": "2026-01-10", "end_date": "2026-01-20"}
CLOSED = {"layer": "school", **SPAN, "reduction": 0.1}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"interventions": [{**CLOSED, "layer": "schol"}]},
            "the population has no layer 'schol' (did you mean 'school'?)",
        ),
        ({"interventions": [{**CLOSED, "layer": "office"}]}, "there are home, school and all"),
        (
            {"interventions": [{**CLOSED, "start_date": "2026-01-30"}]},
            "ends on 2026-01-20, before it starts on 2026-01-30",
        ),
        ({"population": {"size": -5}}, "population.size is -5"),
        (
            {"calibration": {"priors": {"x": {"low": 0.8, "high": 0.3}}}},
            "x goes from 0.8 to 0.3: low must be below high",
        ),
        ({"calibration": {"num_particles": 0}}, "num_particles is 0, and must be 1 or more"),
        ({"calibration": {"strategy": "smc"}, "projection": {"n_simulations": 0}}, "n_simulations is 0"),
    ],
)
def test_settings_that_would_fail_late_or_have_no_effect_are_reported(changes, expected):
    """In the words of the file, not of whatever fails at last."""
    problems, _ = problems_and_warnings({**SOUND, **changes}, [])

    assert any(expected in str(problem) for problem in problems)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"parameters": {"transmision_rate": 0.3}}, ("parameters", "transmision_rate")),
        ({"parameters": {"recovery_rate": "fast"}}, ("parameters", "recovery_rate")),
        ({"simulation": {**SOUND["simulation"], "end_date": "2025-01-01"}}, ("simulation", "end_date")),
        ({"initial_conditions": {"Infectious": 5}}, ("initial_conditions", "Infectious")),
        ({"model": {"type": "SIR", "outcome": "fame"}}, ("model", "outcome")),
        ({"model": {"type": "SIRENS"}}, ()),  # a sentence that names no setting
        (
            {"model": {**VACCINATED["model"], "transitions": [{"source": "S", "target": "X", "kind": "mediated"}]}},
            ("model", "transitions", 0, "target"),
        ),
        (
            {"overrides": [{"parameter": "recovery_rat", **SPAN, "value": 1}]},
            ("overrides", 0, "parameter"),
        ),
        ({"calibration": {"strategy": "guess"}}, ("calibration", "strategy")),
        ({"interventions": [{**CLOSED, "layr": 1}]}, ("interventions", 0, "layr")),
        ({"simulatoin": {}}, ("simulatoin",)),
    ],
)
def test_a_problem_has_the_path_of_its_setting(changes, path):
    """Also those of epydemix, which come as sentences."""
    problems, _ = problems_and_warnings({**SOUND, **changes}, [])

    assert ("model", *path) in [problem.path for problem in problems]


def test_scenarios_change_only_what_is_there():
    """A scenario without effect would be printed beside the other with the same numbers."""
    config = {**SOUND, "calibration": {}, "projection": {}}
    scenarios = {"closed": {"interventions": [{**CLOSED, "layer": "schol"}]}}

    (problem,) = scenario_problems(config, scenarios)

    assert "scenarios: closed: interventions[0]: the population has no layer 'schol'" in str(problem)


def test_a_sound_configuration_has_no_problem():
    """What is told above is told of nothing else."""
    assert problems_and_warnings({**SOUND, "interventions": [CLOSED, {**CLOSED, "layer": "all"}]}, [])[0] == []


@pytest.mark.parametrize(
    ("start", "end"),
    [("2026-9-28", "2026-12-01"), ("11/01/2026", "01/15/2027"), ("Nov 1 2026", "Dec 15 2026"), ("soon", "later")],
)
def test_dates_are_compared_as_dates(start, end):
    """However they are written; what is no date is told by epydemix."""
    change = {**CLOSED, "start_date": start, "end_date": end}

    assert "before it starts" not in str(problems_and_warnings({**SOUND, "interventions": [change]}, [])[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"calibration": {"priors": ["a"]}},
        {"calibration": {"priors": {}}, "projection": "long"},
        {"population": "Island"},
    ],
)
def test_a_section_of_the_wrong_type_is_reported_without_a_crash(changes):
    """The builder must live to say it."""
    assert problems_and_warnings({**SOUND, **changes}, [])[0]
