"""The experiment file: what is refused, where and in which words, and that what is written can be read again."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epydrop.errors import BadInput
from epydrop.experiment import Experiment, no_files, read_experiment, referenced_files, source, yaml_nodes
from epydrop.names import Stage

FILE = "experiment.yaml"
MODEL = "model: {simulation: {start_date: 2026-11-28}}\n"


def read(text: str | bytes, *settings_: str, **options) -> Experiment:
    """The experiment in a text, with a default name."""
    data = text if isinstance(text, bytes) else text.encode()
    return read_experiment(data, FILE, "flu", settings_, **options)


def problems(text: str | bytes, *settings_: str, **options) -> list[str]:
    """What is wrong with a text, one line for each problem."""
    with pytest.raises(BadInput) as caught:
        read(text, *settings_, **options)
    return [str(problem) for problem in caught.value.problems]


# -- what is read ------------------------------------------------------------------------------


def test_only_the_model_is_needed_and_the_rest_has_defaults():
    """The smallest experiment."""
    experiment = read(MODEL)

    assert (experiment.exp_id, experiment.suite, experiment.seed) == ("flu", "epydemix", None)
    assert experiment.tasks.chains == 1
    assert experiment.outputs.quantiles == (0.025, 0.25, 0.5, 0.75, 0.975)
    assert experiment.outputs.formats == ("csv.gz", "parquet")
    assert (experiment.run.max_parallelism, experiment.run.max_wait, experiment.run.max_attempts) == (100, 21_600, 3)
    assert set(experiment.tasks.factors.values()) == {1}


def test_the_stages_have_the_sizes_of_the_design():
    """Sizes that nobody wrote down."""
    run = read(MODEL).run

    runner = run.resources(Stage.RUNNER)
    assert (runner.cpu_milli, runner.memory_mib, runner.machine_type) == (2000, 7000, "c4d-standard-2")
    assert (runner.max_memory_mib, runner.max_run_duration, runner.tasks_per_vm) == (30_000, 36_000, 1)
    builder = run.resources(Stage.BUILDER)
    assert (builder.memory_mib, builder.max_memory_mib, builder.max_run_duration) == (4096, 16_384, 3600)
    output = run.resources(Stage.OUTPUT)
    assert (output.memory_mib, output.max_memory_mib, output.machine_type) == (8192, 32_768, "")


def test_a_runner_without_a_machine_type_gets_the_smallest_that_holds_it():
    """A default must not contradict what the file says."""
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
    """As people write them."""
    assert read(MODEL + f"run: {{max_wait: {text}}}\n").run.max_wait == seconds


def test_dates_stay_text_and_small_numbers_are_numbers():
    """YAML 1.2, with nothing that JSON cannot hold."""
    model = read("model: {a: 2026-11-28, b: 1e-3, c: yes, d: ~, e: 0x10, f: 1_000}").model

    assert model == {"a": "2026-11-28", "b": 0.001, "c": "yes", "d": None, "e": 16, "f": 1000}


def test_aliases_and_merges_are_read():
    """People use them to avoid repetition."""
    model = read("model:\n  a: &base {x: 1, y: 2}\n  b: {<<: *base, y: 3}\n  c: *base\n").model

    assert model == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 2}}


def test_a_byte_order_mark_is_ignored():
    """Some editors write one."""
    assert read(b"\xef\xbb\xbf" + MODEL.encode()) == read(MODEL)


# -- what is not YAML --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "experiment.yaml:1:1: the file is empty"),
        (b"# only a comment\n", "experiment.yaml:1:1: the file is empty"),
        (b"- a\n", "experiment.yaml:1:1: expected keys and values, such as 'exp_id: flu', got a list"),
        (b"a: 1\nb:\n\t- c\n", "experiment.yaml:3:1: a tab stands where only spaces may (YAML indents with spaces)"),
        (b"a: b: c\n", "experiment.yaml:1:5: this is not YAML: a ':' is not allowed here"),
        (b"a: [1, 2\n", "experiment.yaml:2:1: this is not YAML: while parsing a flow sequence"),
        (b"a: 1\nb: \xff\n", "experiment.yaml:2:4: this is not UTF-8 text (save the file as UTF-8)"),
        (b"a: 1\nb: \x01\n", "experiment.yaml:2:4: a control character stands here (remove it)"),
        (b'a: "\\ud800"\n', "experiment.yaml:1:4: this text holds half of a character"),
        (b'a: "\\U00110000"\n', "experiment.yaml:1:2: after this the text cannot be read as YAML"),
        (b"a: 1\n---\nb: 2\n", "experiment.yaml:2:1: a second YAML document begins here"),
        (b"%YAML 1.1\n---\na: yes\n", "experiment.yaml:2:1: only YAML 1.2 is read"),
        (b"a: *b\n", "experiment.yaml:1:4: '*b' refers to nothing above it"),
        (b"a: &b [*b]\n", "experiment.yaml:1:8: '*b' refers to nothing above it"),
        (b"? [a]\n: 1\n", "experiment.yaml:1:3: a key must be text, not a list or a mapping"),
        (b"a: " + b"[" * 60, "experiment.yaml:1:53: this is nested more than 50 levels deep"),
        (b"a" * (1024 * 1024 + 1), "experiment.yaml: the file has 1048577 bytes, at most 1048576 are read"),
    ],
)
def test_a_text_that_is_no_experiment_is_refused_at_its_place(text, expected):
    """The parser's position, in plain words."""
    assert any(expected in problem for problem in problems(text))


def test_aliases_cannot_blow_up():
    """A billion laughs."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]

    assert "the aliases ('*name') make this too large" in problems("\n".join(lines))[0]


def test_more_values_than_can_be_read_in_seconds_are_refused():
    """Data belongs in a data file."""
    assert (
        "more than 100000 keys and values stand here (write data in a CSV file)"
        in problems(f"a: [{'1,' * 100_001}]")[0]
    )


def test_a_long_text_repeated_by_aliases_cannot_blow_up():
    """The number of values is small, their length is not."""
    text = f"model:\n  a: &a {'x' * 100_000}\n  b: [{', '.join(['*a'] * 1000)}]\n"

    assert "the aliases ('*name') make this too large" in problems(text)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2\n", "experiment.yaml:3:3: the key 'a' stands here a second time (the first stands in line 2)"),
        ("a: .nan\n", "experiment.yaml:2:6: expected a finite number, got .nan"),
        ("a: -.inf\n", "experiment.yaml:2:6: expected a finite number, got -.inf"),
        ("a: 1e999\n", "experiment.yaml:2:6: expected a finite number, got 1e999"),
        ("5: a\n", "experiment.yaml:2:3: the key 5 is not text (write it in quotes)"),
        ("a: !!python/name:os.system x\n", "experiment.yaml:2:6: tags ('!...') are not read here"),
        ("a: " + "9" * 5000, "experiment.yaml:2:6: a number may have at most 40 digits (quote it if it is text)"),
        ("<<: 5\n", "experiment.yaml:2:7: '<<' takes a mapping (write '<<: *name')"),
    ],
)
def test_yaml_that_hurts_people_is_refused(text, expected):
    """Stricter than YAML itself."""
    indented = "".join(f"  {line}\n" for line in text.splitlines())

    assert expected in problems("model:\n" + indented)[0]


# -- what the schema refuses -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("outputs:\n  quantile: [0.5]", "3:3: 'quantile' is not a key of 'outputs' (did you mean 'quantiles'?)"),
        ("tasks: {chain: 2}", "2:9: 'chain' is not a key of 'tasks' (did you mean 'chains'?)"),
        ("ouputs: {}", "2:1: 'ouputs' is not a key of an experiment (did you mean 'outputs'?)"),
        ("run: {stages: {runer: {}}}", "2:16: 'runer' is not a key of 'run.stages' (did you mean 'runner'?)"),
        (
            "run: {stages: {builder: {tasks_per_vm: 2}}}",
            "2:26: 'tasks_per_vm' is not a key of 'run.stages.builder'",
        ),
        ("config: {}", "2:9: config: 'config' belongs to the suite 'epymodelingsuite', and this is 'epydemix'"),
        ("source: {repo: a}", "2:16: source.repo: expected 'owner/name', https://... or file:///..., got 'a'"),
        ("source: {repo: a/b, ref: a..b}", "2:26: source.ref: expected a branch, a tag or a commit, got 'a..b'"),
        ("outputs: {hub: {}}", "2:11: outputs.hub: 'reference_date' is missing"),
        (
            "outputs: {hub: {reference_date: 2026-11-27}}",
            "2:33: outputs.hub.reference_date: expected a Saturday, got Friday, 2026-11-27 (the Saturday of",
        ),
        ("outputs: {hub: {reference_date: 2026-11-28}}", "2:16: outputs.hub: a hub file needs 'data' and"),
        ("outputs: {hub: {reference_date: soon}}", "2:33: outputs.hub.reference_date: expected a date such as"),
        ("scenarios: {a: {}}", "2:12: scenarios: scenarios are projected from a calibration"),
        (
            "scenarios: {a: {paramters: {}}}",
            "2:28: scenarios.a.paramters: 'paramters' is not a section that a scenario changes",
        ),
        (
            "data: {file: x.csv, fitting_window: {start_date: 2026-01-03, end_date: 2026-01-10}}",
            "2:7: data: data are for a calibration, and the model has none",
        ),
        (
            "data: {file: x.csv, period: weeks, fitting_window: {start_date: 2026-01-03, end_date: 2026-01-10}}",
            "2:29: data.period: expected 'day' or 'week', got 'weeks' (did you mean 'week'?)",
        ),
        ("run: {max_cost_usd: 5}", "2:7: 'run.max_cost_usd' is not supported by this version"),
        ("run: {deadline: 2026-11-28}", "2:7: 'run.deadline' is not supported by this version"),
        ("exp_id: /a", "2:9: exp_id: expected letters, digits, '.', '-' and '_', in parts divided by '/', got '/a'"),
        ("exp_id: 5", "2:9: exp_id: expected text, got 5 (put it in quotes)"),
        ("suite: epymodelingsuite", "1:8: model: 'model' belongs to the suite 'epydemix'"),
        ("suite: epymodel", "2:8: suite: expected 'epydemix' or 'epymodelingsuite', got 'epymodel'"),
        (
            "suite: epidemix",
            "2:8: suite: expected 'epydemix' or 'epymodelingsuite', got 'epidemix' (did you mean 'epydemix'?)",
        ),
        ("seed: -1", "2:7: seed: expected at least 0, got -1"),
        ("seed: 9223372036854775808", "2:7: seed: expected at most 9223372036854775807, got 9223372036854775808"),
        ("seed: ten", "2:7: seed: expected a whole number, got 'ten'"),
        ("tasks: 5", "2:8: tasks: expected keys and values, got 5"),
        ("tasks: {populations: []}", "2:22: tasks.populations: expected at least one name, got an empty list"),
        ("tasks: {populations: A}", "2:22: tasks.populations: expected a list, got 'A'"),
        ("tasks: {populations: [A, B, A]}", "2:29: tasks.populations[2]: 'A' stands in the list a second time"),
        ("tasks: {populations: [' ']}", "2:23: tasks.populations[0]: expected a name, got blank text"),
        ("tasks: {grid: {a.b: []}}", "2:21: tasks.grid.a.b: expected at least one value, got an empty list"),
        (
            "tasks: {grid: {a.b: [[1]]}}",
            "2:22: tasks.grid.a.b[0]: expected a number, a text, true or false, got a list",
        ),
        ("tasks: {grid: {a.b: [1, 1.0]}}", "2:25: tasks.grid.a.b[1]: 1.0 stands in the list a second time"),
        ("tasks: {grid: {a..b: [1]}}", "2:22: tasks.grid.a..b: 'a..b' is not a dotted path into 'model'"),
        (
            "tasks: {grid: {simulation.seed: [1]}}",
            "2:33: tasks.grid.simulation.seed: the seed of a task cannot be chosen",
        ),
        ("tasks: {lhs: {ranges: {a: [0, 1]}}}", "2:9: tasks.lhs: 'n' is missing"),
        ("tasks: {lhs: {n: 0, ranges: {a: [0, 1]}}}", "2:18: tasks.lhs.n: expected at least 1, got 0"),
        (
            "tasks: {lhs: {n: 1, ranges: {a: [1, 1]}}}",
            "2:33: tasks.lhs.ranges.a: expected [low, high] with low below high, got [1.0, 1.0]",
        ),
        (
            "tasks: {lhs: {n: 1, ranges: {a: [1]}}}",
            "2:33: tasks.lhs.ranges.a: expected [low, high] with low below high",
        ),
        ("tasks: {lhs: {n: 1, ranges: {a: [x, 1]}}}", "2:34: tasks.lhs.ranges.a[0]: expected a number, got 'x'"),
        ("tasks: {lhs: {n: 1, ranges: {}}}", "2:29: tasks.lhs.ranges: expected at least one range, got none"),
        ("tasks: {chains: 0}", "2:17: tasks.chains: expected at least 1, got 0"),
        ("tasks: {chains: 2.0}", "2:17: tasks.chains: expected a whole number, got 2.0"),
        (
            "tasks: {grid: {a.b: [1]}, lhs: {n: 1, ranges: {a: [0, 1]}}}",
            "2:21: tasks.grid.a.b: this overlaps 'a' (each value can be set once only)",
        ),
        (
            "tasks: {populations: [A], grid: {population.name: [B]}}",
            "2:51: tasks.grid.population.name: this is set by 'tasks.populations' already",
        ),
        (
            "tasks: {populations: [A, B], chains: 50001}",
            (
                "2:8: tasks: 2 populations x 1 grid points x 1 hypercube points x 50001 chains are 100002 tasks, "
                "at most 100000 can be run"
            ),
        ),
        ("outputs: {quantiles: []}", "2:22: outputs.quantiles: expected at least one quantile"),
        ("outputs: {quantiles: [0.5, 1.0]}", "2:28: outputs.quantiles[1]: expected a number between 0 and 1, got 1"),
        ("outputs: {quantiles: [0.5, 0.5]}", "2:28: outputs.quantiles[1]: quantiles must ascend, and 0.5 follows 0.5"),
        ("outputs: {trajectories: yes}", "2:25: outputs.trajectories: expected true or false, got 'yes'"),
        ("outputs: {formats: [csv]}", "2:21: outputs.formats[0]: expected 'csv.gz' or 'parquet', got 'csv'"),
        ("outputs: {formats: [parquet, parquet]}", "2:30: outputs.formats[1]: 'parquet' stands in the list a second"),
        ("outputs: {formats: []}", "2:20: outputs.formats: expected at least one format"),
        ("run: {max_parallelism: 5001}", "2:24: run.max_parallelism: expected at most 5000, got 5001"),
        ("run: {min_success: 0}", "2:20: run.min_success: expected more than 0, got 0"),
        ("run: {min_success: 1.5}", "2:20: run.min_success: expected at most 1, got 1.5"),
        ("run: {max_attempts: 11}", "2:21: run.max_attempts: expected at most 10, got 11"),
        ("run: {max_wait: 5 weeks}", "2:17: run.max_wait: expected a duration such as 6h, 90m, 30s or 2d, or whole"),
        ("run: {max_wait: 0}", "2:17: run.max_wait: expected at least 1, got 0"),
        ("run: {max_wait: true}", "2:17: run.max_wait: expected a duration such as 6h, 90m, 30s or 2d, or whole"),
        ("run: {spot: 1}", "2:13: run.spot: expected true or false, got 1"),
        ("run: {spot: }", "2:12: run.spot: expected true or false, got nothing"),
        ("run: {image: latest}", "2:14: run.image: expected 'sha256:' and 64 hexadecimal digits, got 'latest'"),
        ("run: {labels: {a: 5}}", "2:19: run.labels.a: expected text, got 5 (put it in quotes)"),
        ("run: {labels: {Flu: a}}", "2:21: run.labels.Flu: this is not a legal name for a label"),
        ("run: {labels: {stage: a}}", "2:23: run.labels.stage: this label is set by epydrop itself"),
        (
            f"run: {{labels: {{{', '.join(f'l{n}: a' for n in range(21))}}}}}",
            "2:15: run.labels: expected at most 20 labels, got 21",
        ),
        (
            "tasks: {populations: [Utah]}\nrun: {required: [Uta]}",
            "3:18: run.required[0]: 'Uta' is not among 'tasks.populations' (did you mean 'Utah'?)",
        ),
        (
            "run: {stages: {output: {machine_type: c4d-standart-2}}}",
            "2:39: run.stages.output.machine_type: 'c4d-standart-2' is not a machine type that this version knows",
        ),
        (
            "run: {stages: {runner: {memory_mib: 9000, machine_type: c4d-standard-2}}}",
            (
                "2:57: run.stages.runner.machine_type: 1 x (2000 cpu_milli and 9000 memory_mib) do not fit on "
                "c4d-standard-2 (2 vCPUs, 7168 MiB) ('c4d-standard-4' would do)"
            ),
        ),
        (
            "run: {stages: {builder: {max_memory_mib: 100}}}",
            "2:42: run.stages.builder.max_memory_mib: expected at least memory_mib, 4096, got 100",
        ),
        ("run: {stages: {builder: {cpu_milli: 0}}}", "2:37: run.stages.builder.cpu_milli: expected at least 1, got 0"),
        ("run: {stages: {runner: {tasks_per_vm: 0}}}", "2:39: run.stages.runner.tasks_per_vm: expected at least 1"),
    ],
)
def test_each_wrong_value_is_refused_at_its_line_and_column(text, expected):
    """One mistake, one problem, in words for people."""
    found = problems(MODEL + text + "\n")

    assert len(found) == 1
    assert found[0].startswith(f"experiment.yaml:{expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("exp_id: a\n", "experiment.yaml:1:1: 'model' is missing"),
        ("model: 5\n", "experiment.yaml:1:8: model: expected keys and values, got 5"),
        (
            "model:\n  simulation:\n    seed: 5\n",
            (
                "experiment.yaml:3:11: model.simulation.seed: "
                "the seed stands at the top level (move it there: 'seed: ...')"
            ),
        ),
        (
            "model:\n  base: other.yaml\n",
            (
                "experiment.yaml:2:9: model.base: an experiment cannot build on another configuration "
                "(copy its content here)"
            ),
        ),
    ],
)
def test_the_model_is_checked_for_what_stands_elsewhere(text, expected):
    """The suite would take these; here they mean something else."""
    assert problems(text) == [expected]


def test_a_default_name_that_cannot_be_an_id_is_a_problem_of_the_file():
    """A file name may hold what an id may not."""
    with pytest.raises(BadInput, match=r"experiment.yaml:1:1: exp_id: expected letters.*got 'my flu'"):
        read_experiment(MODEL.encode(), FILE, "my flu")


def test_all_problems_come_at_once_in_the_order_of_lines():
    """Nobody wants to fix one line after the other."""
    found = problems("model: {}\nseed: x\ntasks: {chains: 0}\noutputs: {a: 1}\nseed: -1\nrun: {max_wait: x}\n")

    assert [problem.split(":")[1] for problem in found] == ["3", "4", "5", "5", "6"]


def test_a_flood_of_problems_is_cut():
    """A reply has to stay readable."""
    found = problems(MODEL + f"tasks: {{populations: [{', '.join('5' * 500)}]}}\n")

    assert len(found) == source.MAX_PROBLEMS + 1
    assert found[-1] == "and 400 more problems like these"


def test_long_texts_are_cut_in_problems():
    """A key of a megabyte helps nobody."""
    assert len(problems(MODEL + f"{'k' * 1000}: 1\n")[0]) < 300


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text",
    [
        MODEL + f"tasks: {{populations: [{', '.join(f'p{n}' for n in range(20_000))}, p0]}}\n",
        MODEL + f"tasks: {{grid: {{{', '.join(f'p{n}: [1, 2]' for n in range(10_000))}}}}}\n",
    ],
)
def test_large_files_are_refused_in_a_short_time(text):
    """No check compares everything with everything, and no number is too long to print."""
    assert problems(text)


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
    """Everything that epydemix would open."""
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
        ("data\\a.csv", "'data\\a.csv' has a backslash"),
        ("https://a.org/a.csv", "'https://a.org/a.csv' is a web address"),
        ("'a\\tb'", "expected"),
        ("''", "expected the name of a file"),
        ("a" * 300, "is too long a name"),
    ],
)
def test_a_file_outside_the_experiments_folder_is_refused_at_its_line(name, expected):
    """What is dropped carries its data with it."""
    if name == "'a\\tb'":
        name, expected = '"a\\tb"', "holds a character that cannot be printed"
    found = problems(f"model:\n  calibration:\n    observed_data: {name}\n")

    assert len(found) == 1
    assert found[0].startswith("experiment.yaml:3:20: ")
    assert expected in found[0]


def test_an_experiment_that_comes_alone_cannot_refer_to_files():
    """The line names the file, the message the way out."""
    found = problems(FILES, why_missing=no_files)

    assert [problem.split(": ")[0] for problem in found] == ["experiment.yaml:2:32", "experiment.yaml:5:37"]
    assert "the file 'data/cases.csv' is not here" in found[0]
    assert "put both into a .zip" in found[0]


# -- settings ----------------------------------------------------------------------------------


def test_settings_are_applied_before_the_checks():
    """Also where the file has no such section, and paths with dots in a grid."""
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


def test_a_setting_changes_one_place_of_an_alias_only():
    """And an entry of a list by its number."""
    model = read("model: {a: &x [{k: 1}], b: *x}", "model.a.0.k=2").model

    assert model == {"a": [{"k": 2}], "b": [{"k": 1}]}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("seed", "--set: expected key=value, got 'seed' (such as run.spot=true)"),
        ("=5", "--set: expected key=value, got '=5'"),
        ("run..spot=true", "--set: expected key=value, got 'run..spot=true'"),
        ("run.spit=true", "--set: 'spit' is not a key of 'run' (did you mean 'spot'?)"),
        ("seed=ten", "--set: seed: expected a whole number, got 'ten'"),
        ("run.spot=[1", "--set: run.spot: this is not YAML"),
        ("model.simulation.start_date.x=1", "--set: model.simulation.start_date.x: there is no 'x' below '2026-11-28'"),
        ("model.list.7=1", "--set: model.list.7: the list has 2 entries, counted from 0, and none is '7'"),
        ("seed=.nan", "--set: expected a finite number, got .nan"),
        ("run.spot=", "--set: run.spot: expected true or false, got nothing"),
        (".".join("a" * 60) + "=1", "--set: expected key=value, got "),
    ],
)
def test_a_wrong_setting_is_told_as_one(setting, expected):
    """It has no line."""
    assert problems("model: {simulation: {start_date: 2026-11-28}, list: [1, 2]}", setting)[0].startswith(expected)


# -- there and back ----------------------------------------------------------------------------

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


@settings(deadline=None)
@given(st.dictionaries(texts.filter(lambda key: key not in {"base", "simulation", "calibration", "model"}), values))
def test_what_is_written_is_read_again(model):
    """Any model, and stable bytes."""
    experiment = read(json.dumps({"model": model}, ensure_ascii=False))

    again = read_experiment(experiment.to_yaml(), FILE, "other")

    assert again == experiment
    assert again.model == model
    assert again.to_yaml() == experiment.to_yaml()


def test_a_key_of_any_length_is_read_again():
    """YAML wants long keys announced."""
    model = {"k" * 2000: {"a": [{"b": 1}]}, "\u2028" * 500: 1, "l" * 1500: []}

    assert read_experiment(read(MODEL).model_copy(update={"model": model}).to_yaml(), FILE, "other").model == model


def test_an_experiment_with_every_key_is_read_again():
    """No default hides what the file says."""
    text = MODEL + (
        "exp_id: a/b\nseed: 5\n"
        "tasks: {populations: [A, B], grid: {a.b: [1, x, true, 0.5]}, lhs: {n: 2, ranges: {c: [0, 1]}}, chains: 2}\n"
        "outputs: {quantiles: [0.1, 0.9], trajectories: false, posteriors: false, formats: [parquet]}\n"
        f"run: {{max_parallelism: 5, min_success: 0.5, required: [A], max_attempts: 1, max_wait: 1d, spot: true, "
        f"image: 'sha256:{'a' * 64}', labels: {{profile: Flu}}, "
        "stages: {runner: {machine_type: null, max_run_duration: 2h}}}\n"
    )
    experiment = read(text)

    assert read_experiment(experiment.to_yaml(), FILE, "other") == experiment
    assert experiment.run.stages.runner.machine_type is None


@settings(deadline=None)
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
@settings(max_examples=300, deadline=None)
def test_any_text_that_looks_like_yaml_is_an_experiment_or_bad_input(text):
    """Never another exception, and every place lies in the file."""
    lines = []
    try:
        read(text)
    except BadInput as error:
        lines = [problem.line for problem in error.problems if problem.line is not None]

    assert all(1 <= line <= len(text) + 1 for line in lines)


@settings(deadline=None, max_examples=30)
@given(values)
def test_any_document_is_an_experiment_or_bad_input(document):
    """Wrong kinds of values in every place."""
    keys = ["exp_id", "suite", "seed", "model", "tasks", "outputs", "run"]
    told = ""
    for key in keys:
        try:
            read(json.dumps({"model": {}, key: document}, ensure_ascii=False))
        except BadInput as error:
            told += str(error)

    assert "Input should" not in told


def test_nodes_know_their_depth_through_aliases():
    """A chain of aliases is as deep as what it stands for."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, yaml_nodes.MAX_DEPTH + 2)]

    assert "the aliases ('*name') make this too large" in problems("\n".join(lines))[0]
