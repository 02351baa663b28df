"""Packing: what is dropped for a local file or folder, with the same bytes each time."""

from __future__ import annotations

import io
from pathlib import Path
from zipfile import ZipFile

import pytest

from epydrop.errors import BadInput
from epydrop.experiment import read_experiment
from epydrop.experiment.bundle.archive import members, open_bundle
from epydrop_workstation.packing import pack

EXPERIMENT = b"model:\n  calibration: {observed_data: data/cases.csv}\n"
CASES = b"date,cases\n2026-11-28,5\n"


def zipped(*entries: tuple[str, bytes]) -> bytes:
    """A zip of these entries after an experiment file."""
    stream = io.BytesIO()
    with ZipFile(stream, "w") as archive:
        for name, data in (("experiment.yaml", EXPERIMENT), *entries):
            archive.writestr(name, data)
    return stream.getvalue()


def unpacked(data: bytes) -> dict[str, bytes]:
    """All members of a bundle."""
    return {name: stream.read() for name, stream in members(io.BytesIO(data), "flu.zip")}


@pytest.fixture
def flu(tmp_path):
    """An experiment that refers to a data file, and the file."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cases.csv").write_bytes(CASES)
    path = tmp_path / "flu.yaml"
    path.write_bytes(EXPERIMENT)
    return path


def test_a_file_that_needs_no_data_is_dropped_as_it_is(tmp_path):
    """With its comments."""
    path = tmp_path / "flu.yaml"
    path.write_bytes(b"model: {} # mine\n")

    assert pack(path) == ("flu.yaml", b"model: {} # mine\n")


def test_settings_are_written_into_the_file(tmp_path):
    """The file itself is not changed."""
    path = tmp_path / "flu.yaml"
    path.write_bytes(b"model: {}\n")

    assert pack(path, ["run.spot=true"]) == ("flu.yaml", b"model: {}\nrun:\n  spot: true\n")
    assert path.read_bytes() == b"model: {}\n"


def test_a_file_and_its_data_become_a_bundle(flu):
    """The experiment's bytes stay as they were written."""
    name, data = pack(flu)

    assert name == "flu.zip"
    assert unpacked(data) == {"experiment.yaml": EXPERIMENT, "data/cases.csv": CASES}
    assert open_bundle(io.BytesIO(data), len(data), name).why_missing("data/cases.csv") == ""


def test_the_data_that_a_configuration_file_names_come_along(tmp_path):
    """By paths from the experiment's folder; missing files and paths that lead outside are left to the builder."""
    (tmp_path / "data").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "data" / "doses.csv").write_bytes(CASES)
    (tmp_path / "models" / "flu.yml").write_text(
        "model: {vaccination: {scenario_data_path: ./data/doses.csv}, "
        "a: {b_path: ../outside.csv}, c: {d_path: data/absent.csv}}\n"
    )
    (tmp_path / "broken.yml").write_text("model: {\n")
    path = tmp_path / "flu.yaml"
    path.write_text("suite: epymodelingsuite\nconfig: {basemodel: models/flu.yml, output: broken.yml}\n")

    assert set(unpacked(pack(path)[1])) == {"experiment.yaml", "models/flu.yml", "broken.yml", "data/doses.csv"}


def test_the_same_content_has_the_same_bytes(flu):
    """Times, modes and the order of files do not matter."""
    _, first = pack(flu)
    (flu.parent / "data" / "cases.csv").unlink()
    (flu.parent / "data" / "cases.csv").write_bytes(CASES)
    (flu.parent / "data" / "cases.csv").chmod(0o600)

    assert pack(flu)[1] == first


def test_a_missing_data_file_is_reported_with_its_full_path(flu):
    """At the line that refers to it."""
    (flu.parent / "data" / "cases.csv").unlink()

    with pytest.raises(BadInput) as caught:
        pack(flu)

    assert str(caught.value) == f"{flu}:2:32: there is no file {flu.parent / 'data' / 'cases.csv'}"


def test_a_data_file_may_not_take_the_experiments_name(tmp_path):
    """In the bundle it would overwrite the experiment."""
    path = tmp_path / "flu.yaml"
    path.write_bytes(b"model: {calibration: {observed_data: experiment.yaml}}\n")
    (tmp_path / "experiment.yaml").write_bytes(CASES)

    with pytest.raises(BadInput, match=r"a data file cannot be named 'experiment.yaml'"):
        pack(path)


def test_a_zip_is_dropped_as_it_is(tmp_path):
    """After it was checked."""
    path = tmp_path / "flu.zip"
    path.write_bytes(zipped(("data/cases.csv", CASES)))

    assert pack(path) == ("flu.zip", path.read_bytes())


def test_a_zip_takes_settings(tmp_path):
    """They are written into its experiment; the data stay unchanged."""
    path = tmp_path / "flu.zip"
    path.write_bytes(zipped(("data/cases.csv", CASES)))

    name, data = pack(path, ["seed=7"])

    assert name == "flu.zip"
    assert unpacked(data)["data/cases.csv"] == CASES
    assert read_experiment(unpacked(data)["experiment.yaml"], "experiment.yaml", "flu").seed == 7
    assert pack(path, ["seed=7"])[1] == data


def test_a_setting_that_a_zip_cannot_follow_is_refused(tmp_path):
    """The message names the setting."""
    path = tmp_path / "flu.zip"
    path.write_bytes(zipped(("data/cases.csv", CASES)))

    with pytest.raises(BadInput, match=r"--set.*flu.zip has no file 'other.csv'"):
        pack(path, ["model.calibration.observed_data=other.csv"])


def test_a_zip_with_a_mistake_is_refused_before_it_is_dropped(tmp_path):
    """Earlier than the reply to a dropped file would come."""
    path = tmp_path / "flu.zip"
    path.write_bytes(zipped())

    with pytest.raises(BadInput, match=r"experiment.yaml:2:32: the bundle .*flu.zip has no file 'data/cases.csv'"):
        pack(path)


@pytest.fixture
def folder(flu):
    """An experiment's own folder."""
    flu.rename(flu.parent / "experiment.yaml")
    return flu.parent


def test_a_folder_is_dropped_with_all_its_files(folder):
    """In a zip of its name; again with the same bytes."""
    (folder / "notes.txt").write_bytes(b"as last week")

    name, data = pack(folder)

    assert name == f"{folder.name}.zip"
    assert unpacked(data) == {"experiment.yaml": EXPERIMENT, "data/cases.csv": CASES, "notes.txt": b"as last week"}
    assert pack(folder) == (name, data)


def test_a_folder_gives_its_name_however_it_is_written(folder, monkeypatch):
    """Such as '.', as the current folder."""
    monkeypatch.chdir(folder)

    name, data = pack(Path(), ["seed=7"])

    assert name == f"{folder.name}.zip"
    assert read_experiment(unpacked(data)["experiment.yaml"], "experiment.yaml", "flu").seed == 7


def test_hidden_files_caches_and_folders_of_runs_are_left_out(folder):
    """Otherwise the results of a first run would change the bundle, and the run could not be resumed."""
    _, first = pack(folder)
    for name in (".git/config", "epydrop-runs/.epydrop/state.sqlite", "epydrop-runs/runs/report.html", ".cache"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"-")
    (folder / "functions" / "__pycache__").mkdir(parents=True)
    (folder / "functions" / "__pycache__" / "rates.pyc").write_bytes(b"-")

    assert pack(folder)[1] == first


def test_links_are_followed_except_those_that_lead_back(folder, tmp_path_factory):
    """Data may be on another disk."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "more.csv").write_bytes(CASES)
    (folder / "linked").symlink_to(elsewhere)
    (folder / "data" / "back").symlink_to(folder)

    assert set(unpacked(pack(folder)[1])) == {"experiment.yaml", "data/cases.csv", "linked/more.csv"}


def test_a_broken_link_is_refused(folder):
    """With its name, before any file is read."""
    (folder / "lost.csv").symlink_to(folder / "nothing")

    with pytest.raises(BadInput, match=r"lost.csv: cannot be read"):
        pack(folder)


def test_a_folder_without_an_experiment_is_refused(tmp_path):
    """With the name that was expected."""
    (tmp_path / "flu.yaml").write_bytes(EXPERIMENT)

    with pytest.raises(BadInput, match=r"experiment\.yaml"):
        pack(tmp_path)


def test_a_folder_that_is_too_large_is_refused_before_it_is_read(folder):
    """By the sizes in the file system."""
    with (folder / "data" / "all.csv").open("wb") as file:
        file.truncate(3 << 30)

    with pytest.raises(BadInput, match="more than 2147483648 bytes"):
        pack(folder)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("flu.json", "expected a folder, or a file that ends in .yaml, .yml or .zip"),
        ("flu.yaml", "cannot be read: No such file"),
    ],
)
def test_other_files_are_refused(tmp_path, name, expected):
    """By the name's suffix, or because there is no such file."""
    (tmp_path / "flu.json").write_text("{}")
    with pytest.raises(BadInput, match=expected):
        pack(tmp_path / name)
