"""The suite epymodelingsuite before anything runs: package, configuration, data. It needs no package."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import date
from importlib import metadata
from types import SimpleNamespace

import pytest
from pydantic import BaseModel, Field
from support import small_forecast as small
from support.small_forecast import CONFIG, an_experiment, found_in
from support.stage_run import StageRun

from epydrop.errors import BadInput
from epydrop.formats.names import Stage
from epydrop_stages.suites import epymodelingsuite
from epydrop_stages.suites.epymodelingsuite import package
from epydrop_stages.suites.epymodelingsuite.configuration import find, kind_of
from epydrop_stages.suites.epymodelingsuite.describe import describe, varied
from epydrop_stages.suites.epymodelingsuite.limits import known_limits
from epydrop_stages.suites.epymodelingsuite.modelset_agreement import disagreements
from epydrop_stages.suites.epymodelingsuite.observed_data import DataFile
from epydrop_stages.suites.epymodelingsuite.unknown_keys import unknown_keys


def messages(error):
    return [str(problem) for problem in error.value.problems]


# -- the package -------------------------------------------------------------------------------


def installed(monkeypatch, **versions):
    """As if these versions were installed; None for a package that is not."""
    known = metadata.version

    def version(name):
        if name in versions and versions[name] is None:
            raise metadata.PackageNotFoundError(name)
        return versions.get(name) or known(name)

    monkeypatch.setattr(metadata, "version", version)


def test_without_the_package_the_experiment_is_rejected_with_what_to_install(tmp_path, monkeypatch):
    """At the line that asks for it."""
    installed(monkeypatch, epymodelingsuite=None)
    run = StageRun.of(tmp_path / "run", small.EXPERIMENT, small.bundle(small.files()), "flu.zip")

    assert run.build() == 65

    (problem,) = run.error(Stage.BUILDER).problems
    assert (problem.file, problem.line) == ("flu.zip/experiment.yaml", 2)
    assert "the package 'epymodelingsuite' is not installed here" in problem.message
    assert "pip install 'epymodelingsuite @ git+https://github.com/mobs-lab/epymodelingsuite'" in problem.hint


def test_a_pandas_that_the_package_does_not_know_is_named(monkeypatch):
    """With both versions, and the one to install."""
    installed(monkeypatch, epymodelingsuite="0.1.0", pandas="3.1.1")

    with pytest.raises(BadInput) as caught:
        package.require()

    assert "'epymodelingsuite' 0.1.0 needs pandas below 3, but this is pandas 3.1.1" in str(caught.value)
    assert "'pandas<3'" in str(caught.value)


def test_a_package_that_cannot_be_imported_is_reported_with_all_versions(monkeypatch):
    """As when it and epydemix disagree."""
    installed(monkeypatch, epymodelingsuite="0.9", pandas="2.3.3", epydemix="9.0")
    monkeypatch.setattr(package, "_MODULES", ("no_such_module",))
    monkeypatch.setattr(package, "NAME", "epydemix")

    with pytest.raises(BadInput, match="No module named 'epydemix") as caught:
        package.require()

    assert "epydemix 9.0" in str(caught.value)


def test_no_module_of_the_suite_replaces_a_function_of_it():
    """A module called like a function would replace it as soon as it is imported."""
    for module in pkgutil.iter_modules(epymodelingsuite.__path__):
        importlib.import_module(f"{epymodelingsuite.__name__}.{module.name}")

    for name in ("build", "run", "digest", "report", "warnings", "versions"):
        assert callable(getattr(epymodelingsuite, name))


# -- the configuration -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"model": {}}, "basemodel"),
        ({"modelset": {"calibration": {}}}, "calibration"),
        ({"modelset": {"sampling": {}}}, "sampling"),
        ({"output": {}}, "output"),
        ({"modelset": {"meta": {}}}, None),
        ({"modelset": []}, None),
        ({"exp_id": "flu"}, None),
    ],
)
def test_the_kind_of_a_file_follows_from_its_structure(document, kind):
    """Their names mean nothing."""
    assert kind_of(document) == kind


@pytest.mark.parametrize(
    "folder",
    ["", "config/", "experiments/small/2025w01/config/", "experiments/small/2025w01/", "experiments/2025w01/config/"],
)
def test_a_configuration_is_found_where_it_is_usual(tmp_path, folder):
    """Other YAML files beside it, also unreadable ones, do no harm."""
    texts = {f"{folder}{name}": text for name, text in CONFIG.items()}

    found = found_in(tmp_path, {**texts, "mkdocs.yml": "x: !!python/name:y\n", "ci.yaml": "on: push\n"})

    assert [part.name for part in found] == list(texts)
    assert [part.kind for part in found] == ["basemodel", "calibration", "output"]


def test_parts_may_be_named_or_given_or_looked_for(tmp_path):
    """Each in its own way, a folder instead of a file too."""
    texts = {"models/b.yml": small.BASEMODEL, "sets/m.yaml": small.CALIBRATION, "sets/x.yaml": small.OUTPUT}
    config = "config: {basemodel: ./models/b.yml, modelset: sets, output: {output: {posteriors: true}}}\n"

    found = found_in(tmp_path, texts, config)

    assert [part.name for part in found] == ["models/b.yml", "sets/m.yaml", ""]
    assert found.output.document == {"output": {"posteriors": True}}


def test_of_several_output_files_the_one_called_so_is_taken(tmp_path):
    """The others are for later, with ``rerun-output``."""
    found = found_in(tmp_path, {**CONFIG, "output.yaml": small.SIMULATED})

    assert found.output.name == "output.yaml"


def test_a_modelset_may_be_absent(tmp_path):
    """Then the basemodel is run alone."""
    assert found_in(tmp_path, {"b.yml": small.BASEMODEL, "o.yml": small.OUTPUT}).modelset is None


@pytest.mark.parametrize(
    ("texts", "config", "words"),
    [
        ({"o.yaml": small.OUTPUT}, "", "config: no basemodel file was found: a YAML file with 'model' at its top"),
        ({"b.yaml": small.BASEMODEL}, "", "config: no output file was found"),
        ({**CONFIG, "other.yml": small.BASEMODEL}, "", "there are 2 basemodel files: b.yml, other.yml"),
        ({**CONFIG, "s.yml": small.SAMPLING}, "", "there are 2 modelset files: m.yaml, s.yml"),
        ({**CONFIG, "config/b.yml": small.BASEMODEL}, "", "2 basemodel files: config/b.yml, b.yml"),
        ({**CONFIG, "p.yml": small.OUTPUT}, "", "there are 2 output files: o.yaml, p.yml"),
        ({**CONFIG, "b.yml": "model: {a: 1\n"}, "", "could not be read: b.yml:"),
        (CONFIG, "config: {basemodel: c.yml}\n", "config: basemodel: there is no file 'c.yml'"),
        (CONFIG, "config: {basemodel: o.yaml}\n", "this cannot be the basemodel: it needs 'model' at its top"),
        (CONFIG, "config: {output: {outputs: {}}}\n", "config: output: this cannot be the output: it needs 'output'"),
        ({**CONFIG, "e/x.csv": ""}, "config: {modelset: e}\n", "there is no modelset file in the folder 'e'"),
    ],
)
def test_a_missing_or_ambiguous_configuration_is_reported(tmp_path, texts, config, words):
    """What is missing, what is there twice, and where it was looked for."""
    with pytest.raises(BadInput) as caught:
        found_in(tmp_path, texts, config)

    assert words in "\n".join(messages(caught))


def test_a_file_outside_of_the_workspace_is_not_read(tmp_path):
    """Not even by way of a link."""
    (tmp_path / "outside.yml").write_text(small.BASEMODEL)
    folder = small.write(tmp_path / "files", {"m.yaml": small.CALIBRATION, "o.yaml": small.OUTPUT})
    (folder / "b.yml").symlink_to(tmp_path / "outside.yml")

    with pytest.raises(BadInput, match="no basemodel file was found"):
        find(an_experiment(), folder)
    with pytest.raises(BadInput, match="is outside of the experiment's files"):
        find(an_experiment("config: {basemodel: b.yml}\n"), folder)


NO_EFFECT = "its prior has no effect: in the basemodel"


def test_what_is_sampled_is_known_before_any_result_is_read(tmp_path):
    """The report tells the samples apart by it; other runs have nothing to tell apart."""
    assert varied(found_in(tmp_path / "sampled", {**CONFIG, "m.yaml": small.SAMPLING})) == {
        "parameters.mu": "number",
        "parameters.beta": "number",
        "compartments.I": "number",
        "start_date": "text",
    }
    assert varied(found_in(tmp_path / "calibrated", CONFIG)) == {}


def test_disagreements_name_their_lines(tmp_path):
    """What is left open and not set, and what is set without effect."""
    basemodel = small.BASEMODEL.replace("{id: Hosp}", "{id: Hosp, init: calibrated}").replace(
        "{id: R}", "{id: R, init: 0}"
    )
    modelset = small.CALIBRATION.replace(
        "    parameters:\n", "    parameters:\n      mu: {prior: {name: uniform, args: [0, 1]}}\n"
    ).replace("      I: {prior", "      S: {prior: {name: uniform, args: [0, 1]}}\n      I: {prior")

    found = found_in(tmp_path, {**CONFIG, "b.yml": basemodel, "m.yaml": modelset})

    assert [str(problem).partition(" (")[0] for problem in disagreements(found)] == [
        "b.yml:10:18: model.compartments.2.init: is 'calibrated', but the modelset does not set it",
        f"m.yaml:12:7: modelset.calibration.compartments.S: {NO_EFFECT} it gets everyone who is left",
        f"m.yaml:15:7: modelset.calibration.parameters.mu: {NO_EFFECT} it is 'scalar'",
    ]


@pytest.mark.parametrize(
    ("texts", "limit"),
    [
        ({"b.yml": small.BASEMODEL.partition("  interventions:")[0]}, "it needs at least one intervention"),
        ({"b.yml": small.BASEMODEL.replace("resample_frequency: W-SAT, ", "")}, "add model.simulation with resample_"),
        (
            {"b.yml": small.BASEMODEL.replace("  vaccination:\n", "  x:\n")},
            "it calibrates only models with vaccination",
        ),
        ({"m.yaml": small.CALIBRATION.replace("    start_date:", "    x:")}, "and a calibrated start_date"),
        ({"m.yaml": small.CALIBRATION.replace("    compartments:", "    x:")}, "'parameters' and 'compartments'"),
        ({"m.yaml": small.SAMPLING}, "it samples start_date only in models without vaccination"),
        (
            {"m.yaml": small.SAMPLING.replace("    start_date:", "    x:")},
            "it samples only if start_date is sampled too",
        ),
    ],
)
def test_a_failure_of_the_first_version_is_explained_by_its_limits(tmp_path, monkeypatch, texts, limit):
    """Those that the configuration exceeds; a newer version has others, and a sound configuration none."""
    installed(monkeypatch, epymodelingsuite="0.1.0")
    found = found_in(tmp_path, {**CONFIG, **texts})

    assert limit in "".join(known_limits(found))
    assert known_limits(found_in(tmp_path / "sound", CONFIG)) == []
    installed(monkeypatch, epymodelingsuite="0.2.0")
    assert known_limits(found) == []


# -- what was observed -------------------------------------------------------------------------


def observed(folder, text):
    spec = SimpleNamespace(observed_date_column="target_end_date", observed_value_column="hospitalizations")
    window = SimpleNamespace(start_date=date(2024, 10, 12), end_date=date(2024, 12, 28))
    calibration = SimpleNamespace(observed_data_path="data/a.csv", comparison=[spec], fitting_window=window)
    found = found_in(folder, {**CONFIG, "data/a.csv": text})
    return DataFile.open(found.modelset, calibration, folder).of(["US-MA", "US-NY"])


def test_observations_after_the_window_are_held_back(tmp_path):
    """They score the forecast; those before it play no part."""
    early = "US-MA,2024-10-05,5\nUS-NY,2024-10-05,5\n"

    found = observed(tmp_path, small.admissions() + early)

    assert found["US-MA"].fitted.tolist() == [True] * 12 + [False] * 3
    assert str(found["US-MA"].dates[0]) == "2024-10-12"
    assert found["US-NY"].values[0] == 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "has no column 'geo_value', 'target_end_date', 'hospitalizations'"),
        (small.admissions({"US-MA": ""}), "has no row of US-NY"),
        (small.admissions().replace("US-MA,2024-11-16,", "US-MA,2024-11-16,x"), "but are not on 2024-11-16"),
        (small.admissions().replace("US-MA,2024-11-16,", "US-MA,16/99/2024,"), "a date of US-MA"),
        (small.admissions().replace("US-MA,2024-11-16", "US-MA,2024-10-12"), "are not in ascending order"),
        (small.admissions().replace("US-MA,2024-11-16", "US-VT,2024-11-16"), "has no row of US-MA on 2024-11-16"),
    ],
)
def test_data_that_would_be_compared_wrongly_are_refused(tmp_path, text, words):
    """At the line of the modelset that names the file."""
    with pytest.raises(BadInput) as caught:
        observed(tmp_path, text)

    assert words in messages(caught)[0]
    assert messages(caught)[0].startswith("m.yaml:5:5: ")


def test_what_the_package_would_fill_in_is_no_gap_in_the_description(tmp_path):
    """A time step that nobody wrote; and a sampled start is a number of days."""
    texts = {**CONFIG, "b.yml": small.BASEMODEL.replace(", delta_t: 1.0", "")}

    found = describe(found_in(tmp_path, texts))

    assert found.words == "small, calibrated to 2025-01-25, steps of 1.0 days"
    assert found.units["start_date"].startswith("days after 20")


class Inner(BaseModel):
    """A part of a schema that has a name of its own for a key."""

    deep: int = Field(0, alias="depth")


class Outer(BaseModel):
    """A schema, as the package has them."""

    known: int = 0
    inner: Inner = Inner()
    many: list[Inner] = []
    by_name: dict[str, Inner] = {}


def test_unknown_keys_are_found_at_every_depth():
    """In lists and mappings too; names that people choose are no keys."""
    document = {
        "known": 1,
        "knowm": 2,
        "inner": {"depth": 1, "dept": 2},
        "many": [{"depth": 1}, {"length": 2}],
        "by_name": {"mine": {"depht": 3}},
    }

    found = [".".join(map(str, path)) for path, _ in unknown_keys(document, Outer.model_validate(document))]

    assert found == ["knowm", "inner.dept", "many.1.length", "by_name.mine.depht"]
