"""The experiment file: its values and defaults, its data files, settings, and round trips through YAML."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.experiments import FILE, MODEL, problems, read

from epydrop.errors import BadInput
from epydrop.experiment import Experiment, no_files, read_experiment, referenced_files
from epydrop.experiment.text import yaml_nodes
from epydrop.formats.names import Stage

# -- values and defaults ------------------------------------------------------------------------------


def test_only_the_model_is_required():
    """The smallest experiment; the rest has defaults."""
    experiment = read(MODEL)

    assert (experiment.exp_id, experiment.suite, experiment.seed) == ("flu", "epydemix", None)
    assert experiment.tasks.chains == 1
    assert experiment.outputs.quantiles == (0.025, 0.25, 0.5, 0.75, 0.975)
    assert experiment.outputs.formats == ("csv.gz", "parquet")
    assert (experiment.run.max_parallelism, experiment.run.max_wait, experiment.run.max_attempts) == (100, 21_600, 3)
    assert experiment.run.max_silence == 900
    assert set(experiment.tasks.factors.values()) == {1}


def test_the_stages_have_default_sizes():
    """In vCPU thousandths, MiB and seconds."""
    run = read(MODEL).run

    runner = run.resources(Stage.RUNNER)
    assert (runner.cpu_milli, runner.memory_mib, runner.machine_type) == (2000, 7000, "c4d-standard-2")
    assert (runner.max_memory_mib, runner.max_run_duration, runner.tasks_per_vm) == (30_000, 36_000, 1)
    builder = run.resources(Stage.BUILDER)
    assert (builder.memory_mib, builder.max_memory_mib, builder.max_run_duration) == (4096, 16_384, 3600)
    output = run.resources(Stage.OUTPUT)
    assert (output.memory_mib, output.max_memory_mib, output.machine_type) == (8192, 32_768, "")


def test_a_runner_without_a_machine_type_gets_the_smallest_that_holds_it():
    """A default must be consistent with the sizes in the file."""
    stages = read(MODEL + "run: {stages: {runner: {memory_mib: 14000, tasks_per_vm: 2}}}\n").run.stages

    assert stages.runner.machine_type == "c4d-standard-8"
    assert stages.runner.max_memory_mib == 56_000


def test_the_tasks_are_all_combinations():
    """Populations x grid x hypercube x chains."""
    experiment = read(
        MODEL + "tasks:\n  populations: [A, B]\n  grid: {a.b: [1, 2, 3]}\n"
        "  lhs: {n: 5, ranges: {a.c: [0, 1e-3]}}\n  chains: 7\n"
    )

    assert list(experiment.tasks.factors.values()) == [2, 3, 5, 7]
    assert experiment.tasks.lhs.ranges == {"a.c": (0.0, 0.001)}


@pytest.mark.parametrize(("text", "seconds"), [("6h", 21_600), ("90m", 5400), ("30s", 30), ("2d", 172_800), ("45", 45)])
def test_durations_have_a_unit_or_are_seconds(text, seconds):
    """Seconds, minutes, hours or days."""
    assert read(MODEL + f"run: {{max_wait: {text}}}\n").run.max_wait == seconds


def test_dates_stay_text_and_small_numbers_are_numbers():
    """YAML 1.2, restricted to JSON's types."""
    model = read("model: {a: 2026-11-28, b: 1e-3, c: yes, d: ~, e: 0x10, f: 1_000}").model

    assert model == {"a": "2026-11-28", "b": 0.001, "c": "yes", "d": None, "e": 16, "f": 1000}


def test_aliases_and_merges_are_read():
    """People use them to avoid repetition."""
    model = read("model:\n  a: &base {x: 1, y: 2}\n  b: {<<: *base, y: 3}\n  c: *base\n").model

    assert model == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 2}}


def test_a_byte_order_mark_is_ignored():
    """Some editors write one."""
    assert read(b"\xef\xbb\xbf" + MODEL.encode()) == read(MODEL)


# -- data files --------------------------------------------------------------------------------


FILES = """\
model:
  calibration: {observed_data: ./data//cases.csv}
  model:
    transitions:
      - {kind: scheduled, schedule: doses.csv}
      - {kind: scheduled, schedule: [1, 2]}
tasks:
  grid: {calibration.target_variable: [x]}
"""


def test_the_files_of_a_model_are_found():
    """Every file that epydemix would open."""
    assert referenced_files(read(FILES)) == {
        "model.calibration.observed_data": "data/cases.csv",
        "model.model.transitions.0.schedule": "doses.csv",
    }


def test_the_files_of_a_grid_are_found():
    """A grid may vary the data."""
    grid = "tasks: {grid: {calibration.observed_data: [a.csv, b.csv]}}\n"

    assert list(referenced_files(read(MODEL + grid)).values()) == ["a.csv", "b.csv"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/data/a.csv", "'/data/a.csv' is an absolute path"),
        ("C:/a.csv", "'C:/a.csv' is an absolute path"),
        ("~/a.csv", "'~/a.csv' is an absolute path"),
        ("../a.csv", "'../a.csv' leads out of the experiment's folder"),
        ("data/../../a.csv", "'data/../../a.csv' leads out of the experiment's folder"),
        ("data\\a.csv", "'data\\a.csv' contains a backslash"),
        ("https://a.org/a.csv", "'https://a.org/a.csv' is a web address"),
        ("'a\\tb'", "expected"),
        ("''", "expected the name of a file"),
        ("a" * 300, "is too long"),
    ],
)
def test_a_file_outside_the_experiments_folder_is_refused_at_its_line(name, expected):
    """A bundle holds the experiment's folder and nothing else."""
    if name == "'a\\tb'":
        name, expected = '"a\\tb"', "contains a character that cannot be printed"
    found = problems(f"model:\n  calibration:\n    observed_data: {name}\n")

    assert len(found) == 1
    assert found[0].startswith("experiment.yaml:3:20: ")
    assert expected in found[0]


def test_an_experiment_without_a_bundle_cannot_refer_to_files():
    """The message says at which line, and what to do."""
    found = problems(FILES, why_missing=no_files)

    assert [problem.split(": ")[0] for problem in found] == ["experiment.yaml:2:32", "experiment.yaml:5:37"]
    assert "the file 'data/cases.csv' is missing" in found[0]
    assert "drop a .zip of the experiment and its data" in found[0]


# -- settings ----------------------------------------------------------------------------------


def test_settings_are_applied_before_the_checks():
    """Also in sections that the file does not have, and for dotted paths in a grid."""
    experiment = read(
        MODEL,
        "seed=7",
        "run.spot=true",
        "model.simulation.dt=0.5",
        "tasks.grid.parameters.beta=[0.1, 0.2]",
        "tasks.lhs={n: 2, ranges: {}}",
        "tasks.lhs.ranges.parameters.gamma=[0, 1]",
    )

    assert experiment.seed == 7
    assert experiment.run.spot
    assert experiment.model["simulation"] == {"start_date": "2026-11-28", "dt": 0.5}
    assert experiment.tasks.grid == {"parameters.beta": (0.1, 0.2)}
    assert experiment.tasks.lhs.ranges == {"parameters.gamma": (0.0, 1.0)}


def test_a_setting_changes_one_use_of_an_alias_only():
    """A number selects an entry of a list."""
    model = read("model: {a: &x [{k: 1}], b: *x}", "model.a.0.k=2").model

    assert model == {"a": [{"k": 2}], "b": [{"k": 1}]}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("seed", "--set: expected key=value, got 'seed' (for example run.spot=true)"),
        ("=5", "--set: expected key=value, got '=5'"),
        ("run..spot=true", "--set: expected key=value, got 'run..spot=true'"),
        ("run.spit=true", "--set: 'spit' is not a key of 'run' (did you mean 'spot'?)"),
        ("seed=ten", "--set: seed: expected a whole number, got 'ten'"),
        ("run.spot=[1", "--set: run.spot: this is not YAML"),
        ("model.simulation.start_date.x=1", "--set: model.simulation.start_date.x: '2026-11-28' has no key 'x'"),
        ("model.list.7=1", "--set: model.list.7: the list has 2 entries, counted from 0, and none is '7'"),
        ("seed=.nan", "--set: expected a finite number, got .nan"),
        ("run.spot=", "--set: run.spot: expected true or false, got nothing"),
        (".".join("a" * 60) + "=1", "--set: expected key=value, got "),
    ],
)
def test_a_wrong_setting_is_reported_as_a_setting(setting, expected):
    """Such a problem has no line."""
    assert problems("model: {simulation: {start_date: 2026-11-28}, list: [1, 2]}", setting)[0].startswith(expected)


# -- round trips ----------------------------------------------------------------------------


texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n :-#'\"&*!|>%@`{}[],0"), max_size=12
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)


@settings(max_examples=30)
@given(st.dictionaries(texts.filter(lambda key: key not in {"base", "simulation", "calibration", "model"}), values))
def test_a_written_experiment_is_read_again_unchanged(model):
    """Any model; and the bytes are the same each time."""
    experiment = read(json.dumps({"model": model}, ensure_ascii=False))

    again = read_experiment(experiment.to_yaml(), FILE, "other")

    assert again == experiment
    assert again.model == model
    assert again.to_yaml() == experiment.to_yaml()


def test_a_long_key_is_read_again():
    """YAML requires a '?' in front of long keys."""
    model = {"k" * 2000: {"a": [{"b": 1}]}, "\u2028" * 500: 1, "l" * 1500: []}

    assert read_experiment(read(MODEL).model_copy(update={"model": model}).to_yaml(), FILE, "other").model == model


def test_an_experiment_with_every_key_is_read_again():
    """No default replaces a value of the file."""
    text = MODEL + (
        "exp_id: a/b\nseed: 5\n"
        "tasks: {populations: [A, B], grid: {a.b: [1, x, true, 0.5]}, lhs: {n: 2, ranges: {c: [0, 1]}}, chains: 2}\n"
        "outputs: {quantiles: [0.1, 0.9], trajectories: false, posteriors: false, formats: [parquet]}\n"
        f"run: {{max_parallelism: 5, min_success: 0.5, required: [A], max_attempts: 1, max_wait: 1d, spot: true, "
        "max_silence: null, "
        f"image: 'sha256:{'a' * 64}', labels: {{profile: Flu}}, "
        "stages: {runner: {machine_type: null, max_run_duration: 2h}}}\n"
    )
    experiment = read(text)

    assert read_experiment(experiment.to_yaml(), FILE, "other") == experiment
    assert experiment.run.stages.runner.machine_type is None
    assert experiment.run.max_silence is None


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_any_bytes_are_an_experiment_or_bad_input(data):
    """Never another exception."""
    with suppress(BadInput):
        assert isinstance(read(data), Experiment)


SIGNS = [*"ab01:-?[]{},&*!|>%@`'\"#~.\n\t ", "\n  ", "\n- ", ": ", "<<: *a", "&a ", "*a", "---", "...", "\\"]
WORDS = ["model:", "tasks:", "run:", "grid", "lhs", "!!int", "null", "1e5", "0x", "0b", "0o", "0o9", "._"]
RARE = ["\u2028", "\x85", "é", "\U0001f600"]
yaml_like = st.lists(st.sampled_from([*SIGNS, *WORDS, *RARE]), max_size=40).map("".join)


@given(yaml_like)
@settings(max_examples=200)
def test_any_text_that_looks_like_yaml_is_an_experiment_or_bad_input(text):
    """Never another exception; and every line is one of the file."""
    lines = []
    try:
        read(text)
    except BadInput as error:
        lines = [problem.line for problem in error.problems if problem.line is not None]

    assert all(1 <= line <= len(text) + 1 for line in lines)


@settings(max_examples=15)
@given(values)
def test_any_document_is_an_experiment_or_bad_input(document):
    """Values of the wrong type everywhere; pydantic's own wording never shows."""
    keys = ["exp_id", "suite", "seed", "model", "tasks", "outputs", "run"]
    messages = ""
    for key in keys:
        try:
            read(json.dumps({"model": {}, key: document}, ensure_ascii=False))
        except BadInput as error:
            messages += str(error)

    assert "Input should" not in messages


def test_nodes_know_their_depth_through_aliases():
    """A chain of aliases is as deep as the value it expands to."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, yaml_nodes.MAX_DEPTH + 2)]

    assert "the aliases ('*name') expand to too much data" in problems("\n".join(lines))[0]
