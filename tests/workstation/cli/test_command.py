"""The command as a person uses it: what it says, and what its exit code says to a script."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest
from support.one_machine import CALIBRATION, SWEEP, Command, slow, tables, until
from support.sample_runs import a_run, an_entry

from epydrop.core.phases import Phase
from epydrop_workstation.cli import demo as demo_module
from epydrop_workstation.cli.main import EpydropGroup
from epydrop_workstation.local.database import Database
from epydrop_workstation.local.run_store import SqliteRunStore

SUBCOMMANDS = [name for name in EpydropGroup.lazy if name not in {"build", "deploy"}]  # those two are groups

# What takes long to import, and what listing runs has no use for.
HEAVY = {
    "batch_emulator.engine.supervisor", "epydemix", "epydrop.experiment", "epydrop.service.reconcile", "epydrop_stages",
    "google.api_core", "grpc", "jinja2", "matplotlib", "numpy", "pandas", "psutil", "pyarrow", "ruamel.yaml", "scipy",
    "zstandard",
}  # fmt: skip
IMPORTED = """
import sys
from epydrop_workstation.cli.main import main
try:
    main()
except SystemExit as end:
    print(*sys.modules, file=sys.stderr)
    raise
"""


@pytest.fixture
def epydrop(tmp_path: Path) -> Command:
    """The command in a folder of its own."""
    return Command(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A folder with one finished run, to look at."""
    command = Command(tmp_path_factory.mktemp("finished"))
    command.run(command.file(SWEEP))
    return command


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: [1, 2\nseed: }", "e.yaml:2:"),
        ("", "e.yaml:1:1: the file is empty"),
        ("- a\n- b\n", "e.yaml:1:1: expected keys and values"),
        (
            SWEEP.replace("seed: 7", "sede: 7"),
            "e.yaml:3:1: 'sede' is not a key of an experiment (did you mean 'seed'?)",
        ),
        (SWEEP.replace("seed: 7", "seed: seven"), "e.yaml:3:7: seed: expected a whole number, got 'seven'"),
        (CALIBRATION, "e.yaml:11:20: there is no file data/cases.csv"),
        (SWEEP.replace("2026-03-01", "2026-02-30"), "e.yaml:8:"),
        (SWEEP.replace("{transmission_rate: 0.4,", "{transmision_rate: 0.4,"), "(did you mean 'transmission_rate'?)"),
        (SWEEP.replace("2026-03-01", "2025-03-01"), "must be after"),
        (SWEEP.replace("parameters.transmission_rate: [", "parameters.speed: ["), "speed"),
        (SWEEP + "max_cost_usd: 5\n", "'max_cost_usd'"),
        (SWEEP.replace("exp_id: sweep", "suite: epymodelingsuite"), "epymodelingsuite"),
    ],
)
def test_a_wrong_experiment_gets_a_message_with_its_place(epydrop: Command, text: str, message: str) -> None:
    """Exit code 65."""
    assert message in epydrop("validate", epydrop.file(text, "e.yaml"), code=65)


@pytest.mark.parametrize("text", ["sede: 7", SWEEP.replace("2026-03-01", "2025-03-01")], ids=["schema", "builder"])
def test_run_and_validate_say_the_same_of_a_wrong_experiment(epydrop: Command, text: str) -> None:
    """Whether the file itself is wrong, or what the builder makes of it."""
    file = epydrop.file(text, "e.yaml")

    problems = epydrop("validate", file, code=65).partition("\n")[2].split("\n")

    said = epydrop("run", file, code=65)
    assert all(problem.strip() in said for problem in problems)


def test_all_problems_come_at_once(epydrop: Command) -> None:
    """A deadline leaves no time for one after the other."""
    said = epydrop("run", epydrop.file("sede: 7\nmodel: {}\nrun: {spott: true, max_attempts: 0}\n", "e.yaml"), code=65)

    assert [line.split(": ")[1] for line in said.splitlines()] == ["e.yaml:1:1", "e.yaml:3:7", "e.yaml:3:34"]


def bundle(folder: Path, **members: str | ZipInfo) -> Path:
    """A zip with these members; their names may hold anything."""
    with ZipFile(folder / "e.zip", "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return Path("e.zip")


def a_link() -> ZipInfo:
    """A member that is a symbolic link."""
    info = ZipInfo("data/cases.csv")
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def test_a_bundle_that_would_write_outside_its_folder_is_refused(epydrop: Command) -> None:
    """By its name."""
    file = bundle(epydrop.folder, **{"experiment.yaml": SWEEP, "../escaped": "x"})

    assert "../escaped" in epydrop("run", file, code=65)
    assert not (epydrop.folder.parent / "escaped").exists()


def test_a_bundle_with_a_link_is_refused(epydrop: Command) -> None:
    """It could point anywhere."""
    file = epydrop.folder / "e.zip"
    with ZipFile(file, "w") as archive:
        archive.writestr("experiment.yaml", SWEEP)
        archive.writestr(a_link(), "/etc/passwd")

    assert "link" in epydrop("run", file, code=65)


def test_a_bundle_that_unpacks_to_more_than_its_bound_is_refused(epydrop: Command) -> None:
    """Three gigabytes of nothing, in a small file that claims them."""
    file = epydrop.folder / "e.zip"
    with ZipFile(file, "w") as archive:
        archive.writestr("experiment.yaml", SWEEP)
        archive.writestr("data/cases.csv", "x")
    data = bytearray(file.read_bytes())
    start = data.rindex(b"PK\x01\x02")
    data[start + 24 : start + 28] = (3 * 1024**3).to_bytes(4, "little")
    file.write_bytes(data)

    assert "bytes" in epydrop("run", file, code=65)


@pytest.mark.parametrize("data", [b"PK\x03\x04 half a zip", b"", b"not a zip at all"])
def test_a_damaged_bundle_is_refused(epydrop: Command, data: bytes) -> None:
    """With one sentence."""
    file = epydrop.folder / "e.zip"
    file.write_bytes(data)

    assert epydrop("run", file, code=65).count("\n") == 1


def test_a_bundle_without_an_experiment_is_refused(epydrop: Command) -> None:
    """It says which file it lacks."""
    assert "experiment.yaml" in epydrop("run", bundle(epydrop.folder, **{"data.csv": "x"}), code=65)


def test_a_file_that_is_not_there_is_named(epydrop: Command) -> None:
    """As are those of a kind that nobody runs."""
    assert "flu.yaml" in epydrop("run", "flu.yaml", code=65)
    assert ".yaml, .yml or .zip" in epydrop("run", epydrop.file("x", "flu.txt"), code=65)


def test_a_root_that_cannot_be_written_is_named(epydrop: Command) -> None:
    """Exit code 64; nothing was begun."""
    epydrop.file("I am no folder", "root")

    assert "root" in epydrop("run", epydrop.file(SWEEP), code=64)


# -- before a run --------------------------------------------------------------------------------


def test_a_dry_run_plans_and_computes_nothing(epydrop: Command) -> None:
    """Not even the root is made."""
    file = epydrop.file(SWEEP)

    plan = json.loads(epydrop("run", file, "--dry-run", "--json", "--set", "tasks.chains=3"))

    assert (plan["tasks"], plan["locations"]) == (12, {"population": 12})
    assert "4 tasks" in epydrop("run", file, "--dry-run")
    assert not epydrop.root.exists()


def test_valid_and_invalid_files_are_told_apart(epydrop: Command) -> None:
    """One verdict for each."""
    good, bad = epydrop.file(SWEEP, "good.yaml"), epydrop.file("sede: 7", "bad.yaml")

    verdicts = json.loads(epydrop("validate", good, bad, "--json", code=65))

    assert [verdict["valid"] for verdict in verdicts.values()] == [True, False]
    assert "good.yaml: valid" in epydrop("validate", good)


def test_a_folder_is_checked_and_packed_as_the_file_to_drop(epydrop: Command) -> None:
    """The bucket takes one file; what it would be told is known before."""
    epydrop.file(CALIBRATION, "weekly/experiment.yaml")
    epydrop.file(
        "date,cases\n" + "".join(f"2026-01-{day:02d},{day}\n" for day in range(1, 13)), "weekly/data/cases.csv"
    )

    assert "weekly: valid" in epydrop("validate", "weekly")
    assert epydrop("pack", "weekly", "--set", "tasks.chains=3") == "weekly.zip\n"
    assert "3 tasks" in epydrop("run", "weekly.zip", "--dry-run")


def test_packing_never_writes_over_the_experiment(epydrop: Command) -> None:
    """A file that needs no other is what can be dropped already."""
    file = epydrop.file(SWEEP, "sweep.yaml")

    assert "can be dropped as it is" in epydrop("pack", file, "--set", "seed=8", code=64)
    epydrop.file(SWEEP, "weekly/experiment.yaml")
    assert "the next pack would include it" in epydrop("pack", "weekly", "--to", "weekly", code=64)
    assert "cannot be written" in epydrop("pack", "weekly", "--to", "no/such/folder.zip", code=64)
    assert (epydrop.folder / file).read_text() == SWEEP


def test_a_setting_that_leads_nowhere_is_refused(epydrop: Command) -> None:
    """A typo on the command line is a typo too."""
    assert "--set" in epydrop("run", epydrop.file(SWEEP), "--set", "tasks.chians=2", code=65)


# -- after a run ---------------------------------------------------------------------------------


def test_runs_are_listed_and_shown(finished: Command) -> None:
    """By id, by the beginning of one, and as the latest."""
    run_id = json.loads(finished("runs", "--json"))[0]["run_id"]

    assert run_id in finished("runs")
    assert "runner 1: succeeded, 4/4 done" in finished("show", "latest")
    assert len(json.loads(finished("show", run_id[:10], "--json"))["history"]) > 3
    assert "lacks no result" in finished("retry", run_id, code=65)
    assert "has ended already" in finished("cancel", run_id, code=65)
    assert "there is no run 'nonsense'" in finished("show", "nonsense", code=65)


def test_a_run_that_cannot_be_read_hides_no_other(epydrop: Command) -> None:
    """It is named with the reason, and so is a quality file that somebody damaged."""
    folder = epydrop.folder / "flu"
    published = {"phase": Phase.SUCCEEDED, "run_url": folder.as_uri(), "outputs": "outputs/1/", "tasks": 4}
    bad, good = a_run(1), a_run(2, **published)
    database = Database(epydrop.root)
    for run in (bad, good):
        SqliteRunStore(database).create(run, an_entry())
    with database.transaction() as connection:
        connection.execute("UPDATE runs SET document = ? WHERE run_id = ?", (b'{"format": 99}', bad.run_id))
    database.close()
    epydrop.file('{"quality": "pass"', "flu/outputs/1/quality.json")

    listed, documents = epydrop("runs"), json.loads(epydrop("runs", "--json"))

    assert all(text in listed for text in (good.run_id, bad.run_id, "has format 99"))
    assert [document["run_id"] for document in documents] == [good.run_id, bad.run_id]
    assert "has format 99" in documents[1]["error"]
    assert "quality.json cannot be read" in epydrop("show", "latest")
    assert "has format 99" in epydrop("show", bad.run_id, code=1)


def test_a_folder_without_runs_is_not_made_by_looking_at_it(epydrop: Command) -> None:
    """A mistyped --root says so."""
    assert "holds no runs" in epydrop("runs", code=64)
    assert not epydrop.root.exists()


def test_a_cancel_from_another_terminal_ends_the_run_for_both(epydrop: Command) -> None:
    """And a retry goes on with what is missing."""
    process = epydrop.start("run", epydrop.file(slow(simulations=2000)), "--json")
    until(lambda: epydrop.is_at("runner"), process)

    said = epydrop("cancel", "latest", code=4)

    output, errors = process.communicate(timeout=200)
    assert (process.returncode, json.loads(output)["phase"]) == (4, "cancelled"), errors
    assert "epydrop retry" in said
    assert not epydrop.alive()


def test_an_interrupted_command_says_how_to_go_on(epydrop: Command) -> None:
    """Ctrl-C ends the tasks, and loses nothing that is finished."""
    process = epydrop.start("run", epydrop.file(slow(simulations=2000)))
    until(lambda: epydrop.is_at("runner"), process)

    process.send_signal(signal.SIGINT)

    _, errors = process.communicate(timeout=200)
    assert (process.returncode, "goes on where this one stopped" in errors) == (130, True)
    assert "Traceback" not in errors
    assert not epydrop.alive()


def test_two_runs_in_one_folder_take_turns(epydrop: Command) -> None:
    """The second says what it waits for, and takes over when the first is done."""
    first = epydrop.start("run", epydrop.file(slow(), "one.yaml"), "--json")
    until(lambda: epydrop.is_at("runner"), first)

    said = epydrop("run", epydrop.file(SWEEP.replace("sweep", "other"), "two.yaml"))

    first.communicate(timeout=200)
    assert first.returncode == 0
    assert "waiting: process" in said
    assert "succeeded" in said


# -- once more -----------------------------------------------------------------------------------


def test_another_set_of_outputs_lies_beside_the_first(epydrop: Command) -> None:
    """From the same results; a mistake in its file is found before anything is done."""
    first = epydrop.run(epydrop.file(SWEEP))
    results = epydrop.results()
    more = epydrop.file("outputs: {quantiles: [0.1, 0.9], formats: [csv.gz]}", "more.yaml")
    wrong = epydrop.file("outputs:\n  quantils: [0.1]", "wrong.yaml")

    epydrop("rerun-output", "latest", "--config", more)

    said = epydrop("rerun-output", "latest", "--config", wrong, code=65)
    second = json.loads(epydrop("show", "latest", "--json"))
    assert "wrong.yaml:2:3: 'quantils' is not a key of 'outputs'" in said
    assert second["outputs"] != first["outputs"]
    assert "quantiles.parquet" in tables(first["outputs"])
    assert "quantiles.parquet" not in tables(second["outputs"])
    assert epydrop.results() == results


def test_a_run_can_be_computed_again_from_the_beginning(epydrop: Command) -> None:
    """In folders of its own: nothing of the first time gets into the new outputs, which are the same to the byte."""
    first = epydrop.run(epydrop.file(SWEEP))
    results = epydrop.results()

    epydrop("retry", "latest", "--all")

    second = json.loads(epydrop("show", "latest", "--json"))
    assert tables(second["outputs"]) == tables(first["outputs"])
    assert epydrop.results() == results
    assert len(list(epydrop.root.glob("runs/*/*/runner-artifacts-2/result_*"))) == len(results)
    epydrop("retry", "latest", "--all", "--from", "runner", code=2)


# -- help ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_the_help_of_every_subcommand_has_an_example(epydrop: Command, name: str) -> None:
    """A line to copy."""
    assert f"epydrop {name}" in epydrop(name, "--help")


def test_the_list_of_commands_shows_what_each_is_for(epydrop: Command) -> None:
    """The first line of its help, read without importing it."""
    listed = " ".join(epydrop("--help").split())

    for name in SUBCOMMANDS:
        sentence = epydrop(name, "--help").split("\n\n")[0].strip().splitlines()[-1].strip()
        assert sentence.split(".")[0] in listed, name


@pytest.mark.parametrize("words", [("--help",), ("runs",), ("show", "latest"), ("replay", "latest")], ids=" ".join)
def test_looking_imports_nothing_that_computes(finished: Command, words: tuple[str, ...]) -> None:
    """A person who asks what is going on does not wait for numpy."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *words, *(("--root", "root") if words != ("--help",) else ())],
        cwd=finished.folder, capture_output=True, text=True, check=True,
    )  # fmt: skip

    imported = set(done.stderr.split())
    assert "epydrop_workstation.cli.main" in imported
    assert imported & (HEAVY | ({"pydantic"} if words == ("--help",) else set())) == set()


def test_the_demo_runs_the_shipped_example(epydrop: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the very function that runs any other experiment."""
    calls: list[Path] = []
    monkeypatch.setattr(demo_module, "run", lambda path, **_: calls.append(path))

    said = epydrop("demo")

    assert calls[0].parts[-3:] == ("examples", "boarding-school-1978", "experiment.yaml")
    assert calls[0].is_file()
    assert str(calls[0]) in said


def test_the_exit_codes_are_in_the_help(epydrop: Command) -> None:
    """Scripts are written by people who read it."""
    said = " ".join(epydrop("--help").split())

    assert "0 done, 1 failed, 2 wrong usage, 3 done without some results" in said


def test_wrong_usage_is_exit_code_2(epydrop: Command) -> None:
    """As everywhere."""
    epydrop("run", code=2)
    epydrop("fly", code=2)
