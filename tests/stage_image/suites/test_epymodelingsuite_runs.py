"""Whole runs with the package epymodelingsuite, where it is installed.

Needs an environment of its own, since the package (0.1.0) wants pandas below 3 and the locks have a newer one:
``pip install -e '.[stage]' 'epymodelingsuite @ git+https://github.com/mobs-lab/epymodelingsuite' 'pandas<3' pytest``.
"""

from __future__ import annotations

import gzip
import io
import json

import numpy as np
import pandas as pd
import pytest
from support import small_forecast as small
from support.git_repository import GitRepository
from support.stage_run import INPUTS, OUTPUTS, RESULTS, RUN_ID, StageRun, signing_keys

from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage, result_name
from epydrop_stages.artifacts.signed_files import Meta, read_artifact
from epydrop_stages.stages.builder import read_lines

pytest.importorskip("epymodelingsuite", reason="the package is not on PyPI and needs pandas below 3")

from epymodelingsuite.dispatcher import dispatch_output_generator
from epymodelingsuite.schema.output import validate_output

from epydrop_stages.suites.epymodelingsuite.compatibility import with_dates
from epydrop_stages.suites.epymodelingsuite.convert import as_result

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # the package's own
    pytest.mark.timeout(1800),  # a test may wait for whole runs that others share
]


@pytest.fixture(scope="session")
def populations(tmp_path_factory):
    return small.population_data(tmp_path_factory.mktemp("populations"))


@pytest.fixture(autouse=True)
def _use_populations(populations, monkeypatch):
    monkeypatch.setenv("EPYDEMIX_DATA", str(populations))


def a_run(folder, experiment=small.EXPERIMENT, **changes):
    """A run of the small forecast, dropped as a bundle."""
    return StageRun.of(folder, experiment, small.bundle(small.files(**changes), experiment), "flu.zip")


@pytest.fixture(scope="session")
def calibrated(tmp_path_factory, populations):
    """A whole run with calibration, projection and a hub file; read only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EPYDEMIX_DATA", str(populations))
        return a_run(tmp_path_factory.mktemp("calibrated") / "run").whole()


SAMPLED = {"basemodel": small.sampled_basemodel(), "modelset": small.SAMPLING, "output": small.SIMULATED}


@pytest.fixture(scope="session")
def sampled(tmp_path_factory, populations):
    """A whole run of sampled simulations; read only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EPYDEMIX_DATA", str(populations))
        return a_run(tmp_path_factory.mktemp("sampled") / "run", **SAMPLED).whole()


def table(run, name):
    return pd.read_csv(io.BytesIO(gzip.decompress(run.store.read(f"{OUTPUTS}{name}.csv.gz"))), keep_default_na=False)


def results(run):
    for index in range(run.tasks()):
        meta = Meta("result", RUN_ID, Stage.RUNNER, index)
        yield read_artifact(run.store, result_name(RESULTS, index), meta, signing_keys())


def problems(run):
    assert run.build() == 65
    return [(problem.file, problem.line, problem.message) for problem in run.error(Stage.BUILDER).problems]


# -- what comes out ----------------------------------------------------------------------------


def test_a_calibration_publishes_the_package_s_tables_under_their_names(calibrated):
    """And beside them the configuration and the tasks."""
    names = {name.removeprefix(OUTPUTS) for name in calibrated.names(OUTPUTS)}

    assert names >= {
        "quantiles_compartments.csv.gz",
        "quantiles_transitions.csv.gz",
        "trajectories_compartments.csv.gz",
        "trajectories_transitions.csv.gz",
        "posteriors.csv.gz",
        "output_hub_formatted.csv.gz",
        "model_metadata.csv.gz",
        "tasks.csv.gz",
        "tasks.parquet",
        "config/basemodel.yaml",
        "quality.json",
        "report.html",
    }
    assert calibrated.store.read(f"{OUTPUTS}config/modelset.yaml").decode() == small.CALIBRATION
    assert table(calibrated, "tasks")["state"].tolist() == ["succeeded"] * 2


def test_quantiles_of_projections_carry_dates(calibrated):
    """Saturdays, not 0, 1, 2 and so on, as epydemix gives them unless it is asked."""
    dates = pd.to_datetime(table(calibrated, "quantiles_transitions")["date"])

    assert set(dates.dt.day_name()) == {"Saturday"}
    assert (dates.min(), dates.max()) == (pd.Timestamp("2024-10-05"), pd.Timestamp("2025-01-25"))


def test_the_hub_file_has_every_location_horizon_and_kind(calibrated):
    """Quantiles for horizons -1 to 3, trends for 0 to 3."""
    hub = table(calibrated, "output_hub_formatted")

    assert set(hub["location"].astype(str)) == {"25", "36"}
    counts = hub.groupby(["location", "output_type"])["horizon"].unique().map(sorted).to_dict()
    for location in set(hub["location"]):
        assert counts[location, "quantile"] == [-1, 0, 1, 2, 3]
        assert counts[location, "pmf"] == [0, 1, 2, 3]


def test_the_hub_would_take_the_file(calibrated):
    """All 23 levels, which the package would have rounded."""
    (check,) = [each for each in quality(calibrated)["checks"] if each["id"] == "hub"]

    assert (check["severity"], check["findings"]) == ("pass", [])


def test_tables_of_one_result_at_a_time_are_those_of_one_call(calibrated, tmp_path, monkeypatch):
    """Every byte of every row, in the same order; only a hub file is ordered by location."""
    monkeypatch.chdir(small.write(tmp_path, small.files()))
    config = validate_output(_yaml(small.OUTPUT))
    every = [with_dates(made.output) for made in results(calibrated)]

    whole = dispatch_output_generator(calibrations=every, output_config=config)

    assert len(whole) == 7
    for name, data in whole.items():
        ours = gzip.decompress(calibrated.store.read(f"{OUTPUTS}{name}")).decode().splitlines()
        theirs = gzip.decompress(data).decode().splitlines()
        if name == "output_hub_formatted.csv.gz":
            ours, theirs = sorted(ours), sorted(theirs)
        assert ours == theirs


def test_tables_of_simulations_too_are_those_of_one_call(sampled):
    """Of all tables that this version of the package can make."""
    config = validate_output(_yaml(small.SIMULATED))
    config.output.model_meta = None

    whole = dispatch_output_generator(simulations=[made.output for made in results(sampled)], output_config=config)

    assert len(whole) == 3
    for name, data in whole.items():
        assert gzip.decompress(sampled.store.read(f"{OUTPUTS}{name}")) == gzip.decompress(data)


def quality(run):
    return json.loads(run.store.read(f"{OUTPUTS}quality.json"))


def findings_on_the_package(run):
    return found(run, "package")


def found(run, check):
    """What a check found that is no pass."""
    return [finding for each in quality(run)["checks"] if each["id"] == check for finding in each["findings"]]


def _yaml(text):
    import yaml

    return yaml.safe_load(text)


def test_a_part_that_the_package_cannot_make_is_reported_and_the_others_are_published(sampled):
    """Version 0.1.0 fails over the metadata of simulations."""
    findings = findings_on_the_package(sampled)

    assert {finding["sentence"].partition(" is left out")[0] for finding in findings} == {"output.model_meta"}
    assert {finding["location"] for finding in findings} == set(small.PLACES.values())


def test_a_calibration_without_a_hub_file_or_with_all_transitions_is_published(tmp_path):
    """Version 0.1.0 fails over both, unless it is asked in other words; no hub file appears that nobody asked for."""
    wanted = "output:\n  quantiles: {transitions: true}\n  posteriors: true\n"
    run = a_run(tmp_path / "run", output=wanted).whole()

    assert {name.removeprefix(OUTPUTS) for name in run.table_digests()} == {
        "model_metadata.csv.gz",
        "posteriors.csv.gz",
        "quantiles_transitions.csv.gz",
        "tasks.csv.gz",
        "tasks.parquet",
    }
    assert "I_to_Hosp_total" in table(run, "quantiles_transitions")
    assert findings_on_the_package(run) == []


def test_samples_are_identified_by_their_values(sampled):
    """Ordered by location; the same points for each of them."""
    lines = list(read_lines(sampled.store.read(f"{INPUTS}tasks.jsonl.zst")))

    assert [line.key.location for line in lines] == [name for name in small.PLACES.values() for _ in range(4)]
    points = [dict(line.key.parameters) for line in lines]
    assert points[:4] == points[4:]
    assert set(points[0]) == {"parameters.beta", "parameters.mu", "compartments.I", "start_date"}
    assert [point["parameters.mu"] for point in points[:4]] == [0.3, 0.3, 0.4, 0.4]
    assert len({line.seed for line in lines}) == 8


def test_a_basemodel_alone_is_one_task(tmp_path):
    """A plain simulation."""
    run = a_run(tmp_path / "run", basemodel=small.fixed_basemodel(), modelset="", output=small.SIMULATED).whole()

    assert run.tasks() == 1
    assert table(run, "trajectories_compartments")["sim_id"].nunique() == 4


# -- the same numbers --------------------------------------------------------------------------


def test_tables_are_the_same_bytes_in_another_order_and_when_repeated(calibrated, tmp_path):
    """The package's one generator for all locations does not tie them together."""
    crooked = a_run(tmp_path / "crooked")
    assert crooked.build() == crooked.build() == 0
    assert set(crooked.compute([1, 0]) + crooked.compute([1], overwrite=True)) == {0}
    assert crooked.publish() == 0

    assert crooked.table_digests() == calibrated.table_digests()


def test_another_location_changes_nothing_for_those_there_are(calibrated, tmp_path):
    """Neither their seeds nor their numbers."""
    alone = a_run(tmp_path / "alone", modelset=small.CALIBRATION.replace("[US-MA, US-NY]", "[US-NY]")).whole()

    both = table(calibrated, "quantiles_compartments").query("population == 'United_States_New_York'")
    mine = table(alone, "quantiles_compartments")
    assert mine.drop(columns="primary_id").equals(both.drop(columns="primary_id").reset_index(drop=True))


def test_another_seed_gives_other_numbers(calibrated, tmp_path):
    """The experiment's seed decides, not the basemodel's, and who has one there is told."""
    other = a_run(tmp_path / "other", small.EXPERIMENT.replace("seed: 7", "seed: 8")).whole()

    assert not table(other, "posteriors").equals(table(calibrated, "posteriors"))
    warnings = json.loads(other.store.read("run_metadata.json"))["warnings"]
    assert warnings == ["random_seed 42 of the basemodel is not used; the experiment's seed 8 is"]


# -- results as this project's own -------------------------------------------------------------


def test_a_calibration_becomes_a_result(calibrated):
    """Posterior, calibration and projection; people are conserved on every date; what is held back is marked."""
    made = next(results(calibrated))

    result = as_result(made)

    assert result.population == 85 * 80_000
    assert [part.kind for part in result.trajectories] == ["calibration", "projection"]
    calibration, projection = result.trajectories
    assert calibration.variables["hospitalizations"].shape == (4, 12)
    assert calibration.weights.sum() == pytest.approx(1)
    people = [values for name, values in projection.variables.items() if "_to_" not in name and name.endswith("_total")]
    assert np.allclose(np.sum(people, axis=0), result.population)
    assert projection.scenario == ""
    assert set(result.posterior.values) == {"beta", "I", "start_date"}
    assert result.posterior.weights.sum() == pytest.approx(1)
    assert result.observed.variable == "hospitalizations"
    assert (result.observed.period, result.observed.fitted.tolist()) == ("week", [True] * 12 + [False] * 3)


def test_a_simulation_becomes_a_result(sampled):
    """Totals over all age groups, each simulation with the same weight."""
    (part,) = as_result(next(results(sampled))).trajectories

    assert (part.kind, part.weights.tolist()) == ("simulation", [0.25] * 4)
    assert all(name.endswith("_total") for name in part.variables)
    assert part.variables["I_total"].shape == (4, len(part.dates))


# -- where the files come from -----------------------------------------------------------------


def test_a_repository_holds_configuration_data_and_code(tmp_path):
    """Found under the experiment's id; the bundle's file lies over the repository's."""
    texts = small.files()
    config = {f"experiments/small/2025w01/config/{name}": text for name, text in texts.items() if "/" not in name}
    data = {name: text for name, text in texts.items() if "/" in name}
    repository = GitRepository.of(tmp_path / "forecasts")
    repository.commit({**config, **data, "data/admissions.csv": "out of date", "mkdocs.yml": "a: !!python/name:x\n"})
    experiment = f'{small.EXPERIMENT}source: {{repo: "{repository.url}", ref: main}}\n'
    dropped = small.bundle({"data/admissions.csv": texts["data/admissions.csv"]}, experiment)

    run = StageRun.of(tmp_path / "run", experiment, dropped, "flu.zip").whole()

    assert set(table(run, "tasks")["location"]) == set(small.PLACES.values())


def test_a_configuration_may_be_inline_in_the_experiment(tmp_path):
    """All three parts; only the data come along."""
    parts = {"basemodel": small.BASEMODEL, "modelset": small.CALIBRATION, "output": small.OUTPUT}
    inline = "".join(f"  {part}:\n{_indented(text)}" for part, text in parts.items())
    run = a_run(tmp_path / "run", f"{small.EXPERIMENT}config:\n{inline}", basemodel="", modelset="", output="")

    assert run.build() == 0
    assert run.tasks() == 2


def _indented(text):
    return "".join(f"    {line}\n" for line in text.splitlines())


def test_outputs_can_be_made_again_with_another_configuration(tmp_path, calibrated):
    """As a kick carries it; it is checked against the same basemodel."""
    assert (
        calibrated.publish(
            outputs="outputs/again/", output_config={"output": {"trajectories": {"compartments": ["R_total"]}}}
        )
        == 0
    )

    again = gzip.decompress(calibrated.store.read("outputs/again/trajectories_compartments.csv.gz")).decode()
    assert again.splitlines()[0] == "primary_id,sim_id,seed,population,date,R_total"
    wrong = {"output": {"trajectories": {"compartments": ["X_total"]}}}
    assert calibrated.publish(outputs="outputs/wrong/", output_config=wrong) == 65
    assert "Compartments in trajectories.compartments not defined" in calibrated.error(Stage.OUTPUT).message


# -- what goes wrong ---------------------------------------------------------------------------


def test_a_failed_projection_fails_its_task(tmp_path):
    """The package would return the calibration alone, and the location would be missing from the forecast."""
    asked = small.CALIBRATION.replace("n_trajectories: 5", "n_trajectories: 0")
    run = a_run(tmp_path / "run", modelset=asked)
    assert run.build() == 0

    assert run.compute() == [1, 1]

    record = run.error(Stage.RUNNER, 1)
    assert record.type == "NoForecast"
    assert "United_States_New_York was calibrated, but its projection failed" in record.message


def test_missing_results_are_listed(tmp_path):
    """In the table of tasks, with the reason, and among the findings; the others are published."""
    run = a_run(tmp_path / "run")
    assert run.build() == 0
    assert run.compute([0]) == [0]

    assert run.publish(missing=IndexSet.of([1])) == 0

    tasks = table(run, "tasks")
    assert tasks["state"].tolist() == ["succeeded", "missing"]
    assert tasks["reason"].tolist() == ["", "no error record"]
    assert [finding["location"] for finding in found(run, "locations")] == ["United_States_New_York"]
    assert set(table(run, "quantiles_compartments")["population"]) == {"United_States_Massachusetts"}


def changed(part, old, new):
    text = {"basemodel": small.BASEMODEL, "modelset": small.CALIBRATION, "output": small.OUTPUT}[part]
    assert old in text
    return {part: text.replace(old, new)}


WRONG = {
    "a date that is none": (
        changed("basemodel", "2025-01-25", "2025-13-25"),
        ("basemodel.yaml", 4, "model.timespan.end_date: Input should be a valid date"),
    ),
    "a compartment that is none": (
        changed("basemodel", "source: Hosp, target: R", "source: Hospital, target: R"),
        ("basemodel.yaml", 1, "Transition.source='Hospital' is not a valid Compartment.id"),
    ),
    "a parameter that the basemodel lacks": (
        changed("modelset", "      beta:", "      gamma: {prior: {name: uniform, args: [0, 1]}}\n      beta:"),
        ("modelset.yaml", 14, "the basemodel has no parameter 'gamma'"),
    ),
    "a key with a slip of the pen": (
        changed("output", "output:", "output:\n  quantile: {}"),
        ("output.yaml", 2, "output.quantile: the package has no such key"),
    ),
    "a parameter that nobody sets": (
        changed("basemodel", "mu: {type: scalar, value: 0.4}", "mu: {type: calibrated}"),
        ("basemodel.yaml", 21, "is 'calibrated', but the modelset does not set it"),
    ),
    "a prior without effect": (
        changed("basemodel", "beta: {type: calibrated}", "beta: {type: scalar, value: 0.03}"),
        ("modelset.yaml", 14, "its prior has no effect: in the basemodel it is 'scalar'"),
    ),
    "a compartment whose prior is ignored": (
        changed("modelset", "      I: {prior", "      Z: {prior"),
        ("basemodel.yaml", 9, "is 'calibrated', but the modelset does not set it"),
    ),
    "a basemodel for sampling": (
        {"basemodel": small.sampled_basemodel()},
        ("basemodel.yaml", 4, "is 'sampled', but the modelset is for calibration"),
    ),
    "no modelset for what is left open": (
        {"modelset": "", "output": small.SIMULATED},
        ("basemodel.yaml", 4, "is 'calibrated', but there is no modelset"),
    ),
    "a place that is none": (
        changed("modelset", "US-NY]", "Narnia]"),
        ("modelset.yaml", 2, "'Narnia' is not a location code"),
    ),
    "a place twice": (changed("modelset", "US-NY]", "US-MA]"), ("modelset.yaml", 2, "'US-MA' is listed twice")),
    "a transition that is none": (
        changed("output", "[I_to_Hosp_total]", "[I_to_Grave_total]"),
        ("output.yaml", 2, "Transitions in quantiles.transitions not defined in basemodel: ['I_to_Grave']"),
    ),
    "a file that is not there": (
        changed("modelset", "observed_data_path: data/admissions.csv", "observed_data_path: data/admission.csv"),
        ("modelset.yaml", 5, "there is no file 'data/admission.csv'"),
    ),
    "a file outside": (
        changed("modelset", "observed_data_path: data/admissions.csv", "observed_data_path: ../admissions.csv"),
        ("modelset.yaml", 5, "leads out of the experiment's folder"),
    ),
    "a column that is not there": (
        changed("modelset", "observed_value_column: hospitalizations", "observed_value_column: admissions"),
        ("modelset.yaml", 5, "'data/admissions.csv' has no column 'admissions'"),
    ),
    "data without a location": (
        {"admissions": small.admissions({"US-MA": ""})},
        ("modelset.yaml", 5, "has no row of US-NY from 2024-10-12 to 2024-12-28"),
    ),
    "a gap in the data": (
        {"admissions": small.admissions().replace("US-MA,2024-11-16", "US-ME,2024-11-16")},
        ("modelset.yaml", 5, "has no row of US-MA on 2024-11-16"),
    ),
    "a negative count": (
        {"admissions": small.admissions().replace("US-NY,2024-11-16,", "US-NY,2024-11-16,-")},
        (
            "modelset.yaml",
            5,
            "the values of US-NY in 'data/admissions.csv' must be 0 or more, but are not on 2024-11-16",
        ),
    ),
    "two versions of one week": (
        {"admissions": small.admissions().replace("US-NY,2024-11-16", "US-NY,2024-11-09")},
        ("modelset.yaml", 5, "the dates of US-NY in 'data/admissions.csv' are not in ascending order"),
    ),
    "weeks that end on other days": (
        changed("basemodel", "W-SAT", "W-SUN"),
        ("basemodel.yaml", 5, "the data are for Saturdays"),
    ),
    "a reference date that is no Saturday": (
        changed("output", "2025-01-04", "2025-01-03"),
        ("output.yaml", 6, "is a Friday, but the hub's weeks end on Saturdays"),
    ),
    "a model that ends too early for the hub": (
        changed("output", "2025-01-04", "2025-01-11"),
        ("output.yaml", 6, "leads to a last week that ends on 2025-02-01, but the model ends on 2025-01-25"),
    ),
    "no observation before the reference date": (
        {"admissions": small.admissions().replace("US-NY,2024-12-28", "US-ME,2024-12-28")},
        ("output.yaml", 7, "are relative to 2024-12-28, for which 'data/admissions.csv' has no row of US-NY"),
    ),
    "a hub file of a calibration alone": (
        changed("modelset", "    projection: {n_trajectories: 5}\n", ""),
        ("output.yaml", 5, "is made from projections of a calibration, but there will be none"),
    ),
    "an unknown strategy": (
        changed("modelset", "name: SMC", "name: MCMC"),
        ("modelset.yaml", 4, "epydemix has no strategy 'MCMC'"),
    ),
    "a distance that is none": (
        changed("modelset", "    observed_data_path", "    distance_function: far\n    observed_data_path"),
        ("flu.zip/experiment.yaml", 2, "its builder failed: KeyError: 'far'"),
    ),
    "a model without interventions": (
        {"basemodel": small.BASEMODEL.partition("  interventions:")[0]},
        ("flu.zip/experiment.yaml", 2, "its builder failed: UnboundLocalError"),
    ),
    "a model without simulation": (
        changed("basemodel", "  simulation: {resample_frequency: W-SAT, n_sims: 4}\n", ""),
        ("flu.zip/experiment.yaml", 2, "a trial simulation of United_States_Massachusetts failed: AttributeError"),
    ),
}


@pytest.mark.parametrize("changes", WRONG)
def test_mistakes_are_reported_by_the_builder_with_their_line(tmp_path, changes):
    """With the file and the line, by the builder."""
    texts, (file, line, words) = WRONG[changes]

    found = problems(a_run(tmp_path / "run", **texts))

    assert [problem for problem in found if problem[:2] == (file, line) and words in problem[2]], found


def test_an_unknown_population_is_reported(tmp_path, monkeypatch):
    """The code is right, and the data have no such place."""
    texts = changed("modelset", "US-NY]", "US-TX]") | {"admissions": small.admissions({"US-MA": "", "US-TX": ""})}
    texts |= {"output": "output:\n  posteriors: true\n"}

    found = problems(a_run(tmp_path / "run", **texts))

    assert "United_States_Texas" in found[0][2]
