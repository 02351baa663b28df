"""``epydrop replay``: what it says of a run and of a file, and its exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.one_machine import Command
from support.sample_runs import a_run, an_entry
from support.scene import Scene

from epydrop.core import decide as decide_module
from epydrop.core.table import TABLE
from epydrop.formats.serialization import to_json
from epydrop_workstation.cli.replay_lines import lines_of
from epydrop_workstation.local.database import Database
from epydrop_workstation.local.run_store import SqliteRunStore
from epydrop_workstation.replaying import Difference, Recording, Replay


@pytest.fixture
def epydrop(tmp_path: Path) -> Command:
    """The command, and a root with one run by the real service that failed in the runner."""
    command = Command(tmp_path)
    scene = Scene(command.root)
    scene.reconcile(scene.drop())
    scene.end_job(tasks=4)
    scene.end_job({0: 1, 2: 1, 3: 50005})
    scene.close()
    return command


@pytest.fixture
def changed_table(epydrop: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Since the run, the table has lost its row for a manifest that is present."""
    monkeypatch.setattr(decide_module, "TABLE", tuple(row for row in TABLE if row.name != "built"))


# -- what is said --------------------------------------------------------------------------------


def test_each_decision_is_a_line(epydrop: Command) -> None:
    """When, the event, the row, the phase, the effects; and what it comes to."""
    lines = epydrop("replay", "latest").splitlines()

    assert lines[0].startswith("flu: run 20261122-120000-")
    assert lines[2].split("  ")[:3] == ["=", "2026-11-22 12:00:01", "file dropped"]
    assert lines[2].endswith("submit builder 1, reply accepted, publish accepted")
    assert any("builder 1 succeeded" in line and "built" in line and "submit runner 1" in line for line in lines)
    assert lines[-1] == f"{len(lines) - 3} decisions: all the same"


@pytest.mark.usefixtures("changed_table")
def test_a_difference_is_marked_and_explained(epydrop: Command) -> None:
    """Exit code 1; the line, the values then and now, and how to report it."""
    said = epydrop("replay", "latest", code=1)

    (marked,) = [line for line in said.splitlines() if line.startswith("!")]
    assert "built -> failed" in marked
    assert "   run.phase\n      then: runner\n      now:  failed\n" in said
    assert "5 the same, 1 different (!)" in said
    assert f"--root {epydrop.root} --save bug.json" in said


def test_of_long_values_the_part_that_differs_is_shown() -> None:
    """Two texts that look alike explain nothing."""
    long = "x" * 500
    outcome = Replay((), loose_ends=(Difference("run.reason", f"{long} then {long}", f"{long} now {long}"),))

    lines = [line.text for line in lines_of(Recording(a_run(), ()), outcome)]

    assert lines[-2].startswith("      then: ...xx")
    assert "x then x" in lines[-2]
    assert "x now x" in lines[-1]
    assert all(len(line) < 150 for line in lines)


def test_what_was_not_recorded_is_said(epydrop: Command) -> None:
    """Exit code 3: nothing differs, and nothing is proven."""
    database = Database(epydrop.root)
    SqliteRunStore(database).create(a_run(serial=1), an_entry(1))
    database.close()

    said = epydrop("replay", a_run().run_id, code=3)

    assert "not recorded: the version of epydrop that wrote this entry did not keep enough of it" in said
    assert "1 decision: 0 the same, 1 not recorded (?)" in said


# -- a file --------------------------------------------------------------------------------------


def test_a_saved_file_is_replayed_without_the_root(epydrop: Command) -> None:
    """It says the same elsewhere."""
    said = epydrop("replay", "latest", "--save", "bug.json")
    shutil.rmtree(epydrop.root)

    again = epydrop("replay", "bug.json")

    assert said.startswith(again)
    assert "Saved bug.json" in said
    assert "Read it before you attach it" in said


@pytest.mark.usefixtures("changed_table")
def test_a_file_is_not_asked_for_again(epydrop: Command) -> None:
    """Who has the file need not save it."""
    epydrop("replay", "latest", "--save", "bug.json", code=1)

    assert "--save" not in epydrop("replay", "bug.json", code=1)


def test_a_saved_file_holds_no_more_than_the_run_and_its_history(epydrop: Command) -> None:
    """No observations, no results, no keys."""
    epydrop("replay", "latest", "--save", "bug.json")

    saved = json.loads((epydrop.folder / "bug.json").read_text())
    assert saved.keys() == {"run", "history", "version", "format"}
    assert "model" not in json.dumps(saved)  # the experiment


# -- what goes wrong -----------------------------------------------------------------------------


def test_an_unknown_run_and_a_file_that_is_not_there_are_named(epydrop: Command) -> None:
    """As by every other command; exit code 65, and 64 for a folder without runs."""
    assert "there is no run 'x' here" in epydrop("replay", "x", code=65)
    assert "there is no file bug.json (epydrop replay RUN --save" in epydrop("replay", "bug.json", code=65)
    assert "nowhere holds no runs" in epydrop("replay", "latest", "--root", "nowhere", code=64)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "bug.json is not JSON"),
        (b'{"format": 1', "bug.json is not JSON"),
        (b"\xff\xfe", "bug.json is not JSON"),
        (b"[]", "bug.json is no JSON object"),
        (b'{"format": 1}', "bug.json is not a Recording: run"),
        (b'{"format": 2}', "bug.json has format 2, this version of epydrop reads format 1"),
        (to_json(a_run()), "bug.json is not a Recording"),
    ],
)
def test_a_corrupt_file_is_refused_with_a_reason(epydrop: Command, text: bytes, message: str) -> None:
    """Exit code 65, which no difference has."""
    (epydrop.folder / "bug.json").write_bytes(text)

    assert message in epydrop("replay", "bug.json", code=65)


def test_a_file_with_a_damaged_entry_is_refused_by_the_entry(epydrop: Command) -> None:
    """The file as a whole is one; its third entry is about nothing known."""
    epydrop("replay", "latest", "--save", "bug.json")
    path = epydrop.folder / "bug.json"
    saved = json.loads(path.read_text())
    saved["history"][2]["event"] = {"kind": "Comet"}
    path.write_text(json.dumps(saved))

    said = epydrop("replay", "bug.json", code=65)

    assert "cannot be replayed: entry 3 of the history is about an unknown event, 'Comet'" in said


def test_a_file_that_cannot_be_written_is_named(epydrop: Command) -> None:
    """Exit code 64."""
    assert "no/bug.json cannot be written" in epydrop("replay", "latest", "--save", "no/bug.json", code=64)
