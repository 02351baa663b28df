"""The experiment file: what is refused, at which line and column, and with which message."""

from __future__ import annotations

import json
import time

import pytest
from support.experiments import FILE, MODEL, problems

from epydrop.errors import BadInput
from epydrop.experiment import read_experiment
from epydrop.experiment.sections import Tasks
from epydrop.experiment.text import source, yaml_nodes

# -- invalid YAML --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "experiment.yaml:1:1: the file is empty"),
        (b"# only a comment\n", "experiment.yaml:1:1: the file is empty"),
        (b"- a\n", "experiment.yaml:1:1: expected keys and values, such as 'exp_id: flu', got a list"),
        (b"a: 1\nb:\n\t- c\n", "experiment.yaml:3:1: tabs are not allowed here (YAML is indented with spaces)"),
        (b"a: b: c\n", "experiment.yaml:1:5: this is not YAML: a ':' is not allowed here"),
        (b"a: [1, 2\n", "experiment.yaml:2:1: this is not YAML: while parsing a flow sequence"),
        (b"a: 1\nb: \xff\n", "experiment.yaml:2:4: the text is not UTF-8 (save the file as UTF-8)"),
        (b"a: 1\nb: \x01\n", "experiment.yaml:2:4: control characters are not allowed (remove it)"),
        (b'a: "\\ud800"\n', "experiment.yaml:1:4: this text contains half of a surrogate pair"),
        (b'a: "\\U00110000"\n', "experiment.yaml:1:2: the text after this point is not valid YAML"),
        (b"a: 1\n---\nb: 2\n", "experiment.yaml:2:1: a second YAML document starts here"),
        (b"%YAML 1.1\n---\na: yes\n", "experiment.yaml:2:1: only YAML 1.2 is supported"),
        (b"a: *b\n", "experiment.yaml:1:4: the alias '*b' has no anchor above it"),
        (b"a: &b [*b]\n", "experiment.yaml:1:8: the alias '*b' has no anchor above it"),
        (b"? [a]\n: 1\n", "experiment.yaml:1:3: a key must be text, not a list or a mapping"),
        (b"a: " + b"[" * 60, "experiment.yaml:1:53: values are nested more than 50 levels deep"),
        (b"a" * (1024 * 1024 + 1), "experiment.yaml: the file has 1048577 bytes, at most 1048576 are allowed"),
    ],
)
def test_text_that_is_not_an_experiment_is_refused_at_its_position(text, expected):
    """The parser's position, and a plain message."""
    assert any(expected in problem for problem in problems(text))


def test_aliases_cannot_blow_up():
    """The billion laughs attack."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]

    assert "the aliases ('*name') expand to too much data" in problems("\n".join(lines))[0]


def test_too_many_values_are_refused(monkeypatch):
    """Data belong in a data file."""
    monkeypatch.setattr(yaml_nodes, "MAX_EVENTS", 100)

    assert problems(f"a: [{'1,' * 101}]") == [
        "experiment.yaml:1:195: the file has more than 100 keys and values (put data in a CSV file)"
    ]


def test_a_long_text_repeated_by_aliases_cannot_blow_up():
    """Few values, but long ones."""
    text = f"model:\n  a: &a {'x' * 100_000}\n  b: [{', '.join(['*a'] * 1000)}]\n"

    assert "the aliases ('*name') expand to too much data" in problems(text)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2\n", "experiment.yaml:3:3: duplicate key 'a' (first on line 2)"),
        ("a: .nan\n", "experiment.yaml:2:6: expected a finite number, got .nan"),
        ("a: -.inf\n", "experiment.yaml:2:6: expected a finite number, got -.inf"),
        ("a: 1e999\n", "experiment.yaml:2:6: expected a finite number, got 1e999"),
        ("5: a\n", "experiment.yaml:2:3: the key 5 is not text (put it in quotes)"),
        ("a: !!python/name:os.system x\n", "experiment.yaml:2:6: tags ('!...') are not supported"),
        (
            "a: " + "9" * 5000,
            "experiment.yaml:2:6: a number may have at most 40 digits (put it in quotes if it is text)",
        ),
        ("<<: 5\n", "experiment.yaml:2:7: '<<' needs a mapping (write '<<: *name')"),
    ],
)
def test_yaml_with_surprising_meanings_is_refused(text, expected):
    """Stricter than YAML itself."""
    indented = "".join(f"  {line}\n" for line in text.splitlines())

    assert expected in problems("model:\n" + indented)[0]


# -- invalid experiments -------------------------------------------------------------------


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
        ("config: {}", "2:9: config: this section is for the suite 'epymodelingsuite', and the experiment's suite is"),
        ("source: {repo: a}", "2:16: source.repo: expected 'owner/name', https://... or file:///..., got 'a'"),
        ("source: {repo: a/b, ref: a..b}", "2:26: source.ref: expected a branch, a tag or a commit, got 'a..b'"),
        ("outputs: {hub: {}}", "2:11: outputs.hub: 'reference_date' is missing"),
        (
            "outputs: {hub: {reference_date: 2026-11-27}}",
            "2:33: outputs.hub.reference_date: expected a Saturday, got Friday, 2026-11-27 (the Saturday of",
        ),
        ("outputs: {hub: {reference_date: 2026-11-28}}", "2:16: outputs.hub: a hub file needs 'data' and"),
        ("outputs: {hub: {reference_date: soon}}", "2:33: outputs.hub.reference_date: expected a date such as"),
        ("scenarios: {a: {}}", "2:12: scenarios: scenarios need a projection, and the model has none"),
        (
            "scenarios: {a: {paramters: {}}}",
            "2:28: scenarios.a.paramters: a scenario cannot change 'paramters', only parameters,",
        ),
        (
            "data: {file: x.csv, fitting_window: {start_date: 2026-01-03, end_date: 2026-01-10}}",
            "2:7: data: data need a calibration, and the model has none",
        ),
        (
            "data: {file: x.csv, period: weeks, fitting_window: {start_date: 2026-01-03, end_date: 2026-01-10}}",
            "2:29: data.period: expected 'day' or 'week', got 'weeks' (did you mean 'week'?)",
        ),
        ("run: {max_cost_usd: 5}", "2:7: 'run.max_cost_usd' is not supported by this version"),
        ("run: {deadline: 2026-11-28}", "2:7: 'run.deadline' is not supported by this version"),
        ("exp_id: /a", "2:9: exp_id: expected letters, digits, '.', '-' and '_', in parts separated by '/', got '/a'"),
        ("exp_id: 5", "2:9: exp_id: expected text, got 5 (put it in quotes)"),
        ("suite: epymodelingsuite", "1:8: model: this section is for the suite 'epydemix'"),
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
        ("tasks: {populations: [A, B, A]}", "2:29: tasks.populations[2]: 'A' is in the list twice"),
        ("tasks: {populations: [' ']}", "2:23: tasks.populations[0]: expected a name, got blank text"),
        ("tasks: {grid: {a.b: []}}", "2:21: tasks.grid.a.b: expected at least one value, got an empty list"),
        (
            "tasks: {grid: {a.b: [[1]]}}",
            "2:22: tasks.grid.a.b[0]: expected a number, text, true or false, got a list",
        ),
        ("tasks: {grid: {a.b: [1, 1.0]}}", "2:25: tasks.grid.a.b[1]: 1.0 is in the list twice"),
        ("tasks: {grid: {a..b: [1]}}", "2:22: tasks.grid.a..b: 'a..b' is not a dotted path into 'model'"),
        (
            "tasks: {grid: {simulation.seed: [1]}}",
            "2:33: tasks.grid.simulation.seed: the seed of a task cannot be set",
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
            "2:21: tasks.grid.a.b: this overlaps with 'a' (each value can be set only once)",
        ),
        (
            "tasks: {grid: {a: [1], a-b: [1], a.b: [1]}}",
            "2:39: tasks.grid.a.b: this overlaps with 'a' (each value can be set only once)",
        ),
        (
            "tasks: {populations: [A], grid: {population.name: [B]}}",
            "2:51: tasks.grid.population.name: 'tasks.populations' sets this already",
        ),
        (
            "tasks: {populations: [A, B], chains: 50001}",
            (
                "2:8: tasks: 2 populations x 1 grid points x 1 hypercube points x 50001 chains are 100002 tasks; "
                "at most 100000 are allowed"
            ),
        ),
        ("outputs: {quantiles: []}", "2:22: outputs.quantiles: expected at least one quantile"),
        ("outputs: {quantiles: [0.5, 1.0]}", "2:28: outputs.quantiles[1]: expected a number between 0 and 1, got 1"),
        (
            "outputs: {quantiles: [0.5, 0.5]}",
            "2:28: outputs.quantiles[1]: quantiles must increase, but 0.5 follows 0.5",
        ),
        ("outputs: {trajectories: yes}", "2:25: outputs.trajectories: expected true or false, got 'yes'"),
        ("outputs: {formats: [csv]}", "2:21: outputs.formats[0]: expected 'csv.gz' or 'parquet', got 'csv'"),
        ("outputs: {formats: [parquet, parquet]}", "2:30: outputs.formats[1]: 'parquet' is in the list twice"),
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
        ("run: {labels: {Flu: a}}", "2:21: run.labels.Flu: this is not a valid key for a label"),
        ("run: {labels: {stage: a}}", "2:23: run.labels.stage: epydrop sets this label itself"),
        (
            f"run: {{labels: {{{', '.join(f'l{n}: a' for n in range(21))}}}}}",
            "2:15: run.labels: expected at most 20 labels, got 21",
        ),
        (
            "tasks: {populations: [Utah]}\nrun: {required: [Uta]}",
            "3:18: run.required[0]: 'Uta' is not in 'tasks.populations' (did you mean 'Utah'?)",
        ),
        (
            "run: {stages: {output: {machine_type: c4d-standart-2}}}",
            "2:39: run.stages.output.machine_type: 'c4d-standart-2' is not a machine type that this version knows",
        ),
        (
            "run: {stages: {runner: {memory_mib: 9000, machine_type: c4d-standard-2}}}",
            (
                "2:57: run.stages.runner.machine_type: 1 x (2000 cpu_milli and 9000 memory_mib) do not fit on "
                "c4d-standard-2 (2 vCPUs, 7168 MiB) ('c4d-standard-4' is large enough)"
            ),
        ),
        (
            "run: {stages: {builder: {max_memory_mib: 100}}}",
            "2:42: run.stages.builder.max_memory_mib: expected at least memory_mib (4096), got 100",
        ),
        ("run: {stages: {builder: {cpu_milli: 0}}}", "2:37: run.stages.builder.cpu_milli: expected at least 1, got 0"),
        ("run: {stages: {runner: {tasks_per_vm: 0}}}", "2:39: run.stages.runner.tasks_per_vm: expected at least 1"),
    ],
)
def test_each_wrong_value_is_refused_at_its_line_and_column(text, expected):
    """One mistake, one problem, in plain words."""
    found = problems(MODEL + text + "\n")

    assert len(found) == 1
    assert found[0].startswith(f"experiment.yaml:{expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("exp_id: a\n", "experiment.yaml:1:1: model: this section is missing (the suite 'epydemix' needs it)"),
        ("model: 5\n", "experiment.yaml:1:8: model: expected keys and values, got 5"),
        (
            "model:\n  simulation:\n    seed: 5\n",
            (
                "experiment.yaml:3:11: model.simulation.seed: "
                "the seed of a simulation cannot be set (the seed is set at the top level: 'seed: ...')"
            ),
        ),
        (
            "model:\n  base: other.yaml\n",
            (
                "experiment.yaml:2:9: model.base: an experiment cannot extend another configuration "
                "(copy its content here)"
            ),
        ),
    ],
)
def test_keys_of_the_model_that_belong_elsewhere_are_refused(text, expected):
    """The suite would accept these; in an experiment they have another place."""
    assert problems(text) == [expected]


def test_a_default_name_that_cannot_be_an_id_is_a_problem_of_the_file():
    """A file name may contain characters that an id may not."""
    with pytest.raises(BadInput, match=r"experiment.yaml:1:1: exp_id: expected letters.*got 'my flu'"):
        read_experiment(MODEL.encode(), FILE, "my flu")


def test_all_problems_come_at_once_in_the_order_of_lines():
    """So that people can fix them together."""
    found = problems("model: {}\nseed: x\ntasks: {chains: 0}\noutputs: {a: 1}\nseed: -1\nrun: {max_wait: x}\n")

    assert [problem.split(":")[1] for problem in found] == ["3", "4", "5", "5", "6"]


def test_a_flood_of_problems_is_cut():
    """A reply must stay readable."""
    found = problems(MODEL + f"tasks: {{populations: [{', '.join('5' * 500)}]}}\n")

    assert len(found) == source.MAX_PROBLEMS + 1
    assert found[-1] == "and 400 more problems"


def test_long_texts_are_cut_in_problems():
    """A key may have a megabyte."""
    assert len(problems(MODEL + f"{'k' * 1000}: 1\n")[0]) < 300


def test_no_check_compares_every_entry_with_every_other():
    """Eight times the entries take about eight times the CPU time; comparing all pairs would take 64 times."""

    def cpu_seconds(count: int) -> float:
        names = [f"p{number}" for number in range(count)]
        document = json.dumps({"populations": names, "grid": {f"a.{name}": [1] for name in names}})
        times = []
        for _ in range(3):
            began = time.process_time()
            Tasks.model_validate_json(document)
            times.append(time.process_time() - began)
        return min(times)

    assert cpu_seconds(8 * 1000) < 24 * cpu_seconds(1000)


def test_a_number_of_tasks_too_long_to_read_is_not_printed():
    """It may have thousands of digits."""
    grid = ", ".join(f"p{number}: [1, 2]" for number in range(100))

    assert "are far too many tasks; at most 100000 are allowed" in problems(MODEL + f"tasks: {{grid: {{{grid}}}}}\n")[0]
