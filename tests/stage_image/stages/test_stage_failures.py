"""How stages fail: the exit code says what to do next, and a record says why."""

from __future__ import annotations

import errno
import gzip
import io
import os
import sqlite3
import subprocess
import sys
from zipfile import ZipFile, ZipInfo

import dill
import odd_suite
import pandas as pd
import pyarrow as pa
import pytest
import zstandard
from matplotlib.figure import Figure
from pyarrow import parquet
from support.stage_run import CALIBRATED, INPUTS, OUTPUTS, SIR, StageRun, experiment_in

from epydrop.errors import BadInput, ExitCode
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import RESOLVED_EXPERIMENT, Stage, input_name
from epydrop_stages.inputs.repository.complaints import translated
from epydrop_stages.inputs.repository.git import GitFailed, Remote
from epydrop_stages.stages.failures import Failure, exit_code_of
from epydrop_stages.stages.task import main
from epydrop_stages.suites import registry

ODD = """
exp_id: odd
seed: 7
model: {parameters: {do: ACTION}}
tasks: {chains: 2}
"""

SCHOOL = "{layer: school, start_date: '2026-01-02', end_date: '2026-01-03', reduction: 0.5}"


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """A run whose tasks do what the test says: the registry is how suites are added."""
    monkeypatch.setitem(registry.SUITES, "epydemix", odd_suite.__name__)

    def start(action):
        run = StageRun.of(tmp_path / action, ODD.replace("ACTION", action))
        assert run.build() == 0
        return run

    return start


def bundle(members, text=SIR):
    """A zip of the experiment and these members."""
    stream = io.BytesIO()
    with ZipFile(stream, "w") as archive:
        archive.writestr("experiment.yaml", text)
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


# -- tasks that fail ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "code", "kind"),
    [
        ("raise", ExitCode.BUG, "ZeroDivisionError"),
        ("out_of_memory", ExitCode.OUT_OF_MEMORY, "MemoryError"),
        ("wrapped_out_of_memory", ExitCode.OUT_OF_MEMORY, "RuntimeError"),
        ("bad_input", ExitCode.BAD_INPUT, "BadInput"),
        ("try_again", ExitCode.TRY_AGAIN, "RetryableError"),
    ],
)
def test_a_failing_task_leaves_its_record_and_exit_code(odd, action, code, kind):
    """Whatever the suite raises, the record is there first."""
    run = odd(action)

    assert run.compute() == [code, code]

    record = run.error(Stage.RUNNER, 1)
    assert (record.type, record.exit_code, record.index, record.attempt) == (kind, code, 1, 1)
    assert "odd_suite.py" in record.traceback
    assert run.names("telemetry/runner") == []


def test_one_mistake_has_one_fingerprint(odd):
    """The tasks' own numbers do not split it."""
    run = odd("raise")
    run.compute()

    assert run.error(Stage.RUNNER, 0).message != run.error(Stage.RUNNER, 1).message
    assert run.error(Stage.RUNNER, 0).fingerprint == run.error(Stage.RUNNER, 1).fingerprint


def test_a_record_keeps_the_problems_of_an_input(odd):
    """File, line and hint reach the person who wrote it."""
    run = odd("bad_input")
    run.compute()

    (problem,) = run.error(Stage.RUNNER, 0).problems
    assert (problem.file, problem.line, problem.hint) == ("experiment.yaml", 4, "make it positive")


def test_each_retry_of_batch_leaves_its_own_record(odd):
    """BATCH_TASK_RETRY_ATTEMPT tells them apart."""
    run = odd("raise")
    run.order(Stage.RUNNER, IndexSet.below(2))

    main(["runner"], {**run.environment(Stage.RUNNER), "BATCH_TASK_RETRY_ATTEMPT": "2"})

    assert run.error(Stage.RUNNER, 0, retry=2).retry == 2


def test_the_exit_code_stands_when_the_store_is_broken(odd):
    """The record is a best effort; the first error is what counts."""
    run = odd("raise")
    run.order(Stage.RUNNER, IndexSet.below(2))
    (run.folder / "errors").write_text("a file where a folder should be")

    assert run.start(Stage.RUNNER) == ExitCode.BUG


def test_a_report_explains_missing_tasks_with_their_error(tmp_path):
    """What the task said before it failed stands in the report."""
    run = StageRun.of(tmp_path / "run", SIR)
    assert run.build() == 0
    run.store.delete(input_name(INPUTS, 3))
    assert run.compute([3]) == [1]
    assert run.compute([0, 1, 2]) == [0, 0, 0]

    assert run.publish(missing=IndexSet.of([3])) == 0

    assert (
        "IntegrityError: builder-artifacts/input_00003.pkl.zst does not exist"
        in run.store.read(f"{OUTPUTS}report.html").decode()
    )


# -- a full disk -------------------------------------------------------------------------------


def _plot(file):
    figure = Figure()
    figure.subplots().plot([1, 2])
    figure.savefig(file, format="png")


def _compress(file):
    with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as stream:
        dill.dump(list(range(100_000)), stream)


WRITERS = {
    "plain": lambda file: file.write(bytes(1_000_000)),
    "gzip": lambda file: gzip.GzipFile(fileobj=file, mode="wb").write(os.urandom(1_000_000)),
    "csv": lambda file: pd.DataFrame({"a": range(100_000)}).to_csv(file),
    "parquet": lambda file: parquet.write_table(pa.table({"a": os.urandom(1_000_000).hex().split("0")}), file),
    "parquet by its name": lambda file: parquet.write_table(pa.table({"a": list(range(100_000))}), file.name),
    "figure": _plot,
    "artifact": _compress,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_whoever_finds_the_disk_full_says_to_try_again(tmp_path, writer):
    """Whatever library writes, and in whatever it wraps the error of the system."""
    full = tmp_path / "full"
    full.symlink_to("/dev/full")  # a link, since some libraries remove the file that they could not write

    with pytest.raises(Exception, match=r".") as raised, full.open("wb") as file:
        WRITERS[writer](file)

    assert exit_code_of(raised.value) == ExitCode.TRY_AGAIN
    assert Failure.of(raised.value).exit_code == ExitCode.TRY_AGAIN


def test_a_full_database_says_to_try_again(tmp_path):
    """SQLite has errors of its own."""
    connection = sqlite3.connect(tmp_path / "small.sqlite")
    connection.execute("PRAGMA max_page_count = 2")
    connection.execute("CREATE TABLE t (a)")

    with pytest.raises(sqlite3.OperationalError) as raised:
        connection.execute("INSERT INTO t VALUES (?)", (bytes(100_000),))
    connection.close()

    assert exit_code_of(raised.value) == ExitCode.TRY_AGAIN


def test_a_permanent_error_that_comes_of_a_full_disk_is_not_permanent():
    """What somebody made of the error does not count."""
    try:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
    except OSError as error:
        wrapped = BadInput(str(error))
        wrapped.__cause__ = error

    assert exit_code_of(wrapped) == ExitCode.TRY_AGAIN


def test_git_without_space_says_to_try_again():
    """It only says so in words."""
    remote = Remote.of("https://example.org/r.git", "")
    error = GitFailed(["fetch"], "fatal: write error: No space left on device", remote)

    assert exit_code_of(translated(error, "r", remote)) == ExitCode.TRY_AGAIN


# -- wiring ------------------------------------------------------------------------------------


def test_all_missing_variables_are_named_together(tmp_path, capsys):
    """Nothing has a default that could hide a job wired wrongly."""
    assert main(["runner"], {"EPYDROP_ATTEMPT": "1"}) == ExitCode.WIRING

    message = capsys.readouterr().out
    assert all(name in message for name in ("EPYDROP_RUN_URL", "BATCH_TASK_INDEX", "EPYDROP_SIGNING_KEY"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EPYDROP_ATTEMPT", "0"),
        ("EPYDROP_ATTEMPT", "one"),
        ("BATCH_TASK_INDEX", "-1"),
        ("BATCH_TASK_INDEX", "9"),
        ("BATCH_TASK_RETRY_ATTEMPT", "x"),
        ("EPYDROP_MAX_SILENCE", "15m"),
        ("EPYDROP_SIGNING_KEY", "{}"),
        ("EPYDROP_RUN_URL", "nonsense"),
    ],
)
def test_a_malformed_variable_is_a_configuration_error(tmp_path, name, value):
    """Its task does not start."""
    run = StageRun.of(tmp_path / "run", SIR)
    run.order(Stage.BUILDER, IndexSet.below(1))

    assert main(["builder"], {**run.environment(Stage.BUILDER), name: value}) == ExitCode.WIRING
    assert run.names(INPUTS) == []


@pytest.mark.parametrize("argv", [[], ["scorer"], ["runner", "builder"]])
def test_an_unknown_stage_is_a_configuration_error(argv):
    """The command line is part of the wiring."""
    assert main(argv, {}) == ExitCode.WIRING


def test_without_orders_nothing_is_done(tmp_path):
    """A stage obeys its orders, and there must be some."""
    run = StageRun.of(tmp_path / "run", SIR)

    assert run.start(Stage.BUILDER) == ExitCode.WIRING


def test_an_experiment_without_a_seed_is_a_configuration_error(tmp_path):
    """Whoever starts a run writes the seed; no stage invents one."""
    run = StageRun.of(tmp_path / "run", SIR.replace("seed: 7", ""))

    assert run.build() == ExitCode.WIRING


def test_importing_the_program_starts_nothing_and_leaves_one_thread():
    """So that a process that has imported it can fork into tasks."""
    code = (
        "import os, sys, epydrop_stages.__main__ as program;"
        "print(len(os.listdir('/proc/self/task')) if os.path.isdir('/proc/self/task') else 1,"
        " callable(program.main), 'epydemix' in sys.modules, 'matplotlib' in sys.modules)"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    assert found.stdout.split() == ["1", "True", "True", "False"]


# -- the builder refuses -----------------------------------------------------------------------


def refused(folder, text, **dropped):
    """The problems that the builder reports."""
    run = StageRun.of(folder / "run", text, **dropped)
    assert run.build() == ExitCode.BAD_INPUT
    assert run.names(INPUTS) == []
    return run.error(Stage.BUILDER).message


def test_all_problems_of_a_model_are_reported_at_once(tmp_path):
    """Those that epydemix finds, and those that it would pass over in silence."""
    text = SIR.replace("transmission_rate: 0.6", "transmision_rate: 0.6").replace(
        "  simulation:", "  intervention: []\n  simulation:"
    )

    message = refused(tmp_path, text)

    assert "did you mean 'transmission_rate'" in message
    assert "unknown key 'intervention' (did you mean 'interventions'?)" in message


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("{size: 500}", "{size: 500, name: Atlantis}", "'size' would be ignored"),
        ("num_particles: 6", "distance: ae", "use 'mae'"),
        ("num_particles: 6", "target_variable: Infectious_total", "'Infectious_total' is not among"),
        ("70, 80]", "70]", "has 9 values, but a simulation"),
        (
            "  simulation:",
            f"  interventions: [{SCHOOL}]\n  simulation:",
            "KeyError: 'school'",
        ),
        ("chains: 2", "grid: {parameters.recovery_rate: [0.1]}", "has a prior"),
    ],
)
def test_what_would_fail_in_every_task_fails_in_the_builder(tmp_path, old, new, part):
    """One trial simulation tells."""
    assert old in CALIBRATED

    assert part in refused(tmp_path, CALIBRATED.replace(old, new))


def test_an_unknown_population_gets_a_suggestion(tmp_path, monkeypatch):
    """The names come from the data's own list."""
    data = tmp_path / "data" / "v1.2.0"
    data.mkdir(parents=True)
    (data / "locations.csv").write_text("location,primary_contact_source\nUnited_States_New_York,mistry_2021\n")
    monkeypatch.setenv("EPYDEMIX_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("epydemix.population.population.EPYDEMIX_DATA_BASE_URL", "restored afterwards")

    message = refused(tmp_path, SIR.replace("{size: 500}", "{name: United_States_New_Yrok}"))

    assert "did you mean United_States_New_York?" in message


def test_a_bundle_cannot_write_outside_its_folder(tmp_path):
    """A member that leads out is refused, and nothing of the bundle is unpacked."""
    dropped = bundle({"data/good.csv": "x", "../../evil.txt": "x"})

    message = refused(tmp_path, SIR, dropped=dropped, name="flu.zip")

    assert "leads out of the bundle" in message
    assert not list(tmp_path.rglob("evil.txt"))
    assert not list(tmp_path.rglob("good.csv"))


def test_a_link_in_a_bundle_is_refused(tmp_path):
    """A link could point anywhere."""
    link = ZipInfo("data/link")
    link.external_attr = 0o120777 << 16
    stream = io.BytesIO(bundle({}))
    with ZipFile(stream, "a") as archive:
        archive.writestr(link, "/etc/passwd")

    assert "is a link" in refused(tmp_path, SIR, dropped=stream.getvalue(), name="flu.zip")


def test_data_that_a_bundle_carries_is_found(tmp_path):
    """The observed data travel in the tasks' inputs, so that no task needs the file."""
    text = CALIBRATED.replace("[12, 15, 20, 26, 33, 41, 50, 60, 70, 80]", "data/cases.csv\n    observed_column: n")
    cases = "date,n\n" + "".join(f"2026-01-{day:02d},{10 + day}\n" for day in range(1, 11))
    dropped = bundle({"data/cases.csv": cases}, text)
    run = StageRun.of(tmp_path / "run", experiment_in(dropped), dropped, "flu.zip")

    assert run.build() == 0
    run.store.delete("inputs/data/cases.csv")
    assert run.compute() == [0, 0]


def test_a_missing_data_file_is_reported(tmp_path):
    """A lone experiment carries no data."""
    text = CALIBRATED.replace("[12, 15, 20, 26, 33, 41, 50, 60, 70, 80]", "data/cases.csv")

    assert "there is no file 'data/cases.csv'" in refused(tmp_path, text)


def test_an_experiment_that_cannot_be_read_is_bad_input(tmp_path):
    """The resolved experiment is checked like any other."""
    run = StageRun.of(tmp_path / "run", SIR)
    run.store.write(RESOLVED_EXPERIMENT, b"exp_id: [")

    assert run.build() == ExitCode.BAD_INPUT
