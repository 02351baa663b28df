"""The files of an experiment: the repository's, over them the bundle's, the same ones at every stage."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path

import pytest
from support.git_repository import CASES, WITH_SOURCE, GitRepository
from support.stage_run import OUTPUTS, StageRun

from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import REPOSITORY_ARCHIVE, Stage
from epydrop.formats.serialization import from_json
from epydrop.formats.stage_records import Manifest
from epydrop_stages.stages.task import main
from epydrop_stages.suites import registry

LOOKING = "looking_suite"


@pytest.fixture
def repository(tmp_path):
    made = GitRepository.of(tmp_path / "forecasts")
    made.commit({"data/cases.csv": CASES, "functions/custom_rates.py": "RATE = 0.25\n", "shadowed.csv": "repository"})
    return made


def bundle(text, **files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in {"experiment.yaml": text, **files}.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.fixture
def looking(monkeypatch):
    """The suite of ``looking_suite.py`` in the place of epymodelingsuite: it says what it sees at each stage."""
    monkeypatch.setitem(registry.SUITES, "epymodelingsuite", LOOKING)
    yield
    for name in ("functions.custom_rates", "functions", LOOKING):
        sys.modules.pop(name, None)


def test_data_of_the_repository_reach_an_epydemix_experiment(tmp_path, repository):
    """They travel in the tasks; nothing is unpacked for the runner, which needs no files."""
    run = StageRun.of(tmp_path / "run", WITH_SOURCE.format(url=repository.url, ref="main"))
    assert run.build() == 0
    run.store.delete(REPOSITORY_ARCHIVE)

    assert run.compute() == [0]


def test_the_commit_is_recorded(tmp_path, repository):
    """In the manifest, among the versions of the report, and in run_metadata.json with the command that repeats it."""
    commit = repository.git("rev-parse", "HEAD")
    run = StageRun.of(tmp_path / "run", WITH_SOURCE.format(url=repository.url, ref="main")).whole()

    manifest = from_json(Manifest, run.store.read("builder-artifacts/manifest.json"), "manifest")
    document = json.loads(run.store.read("run_metadata.json"))

    assert manifest.versions[repository.url] == document["versions"][repository.url] == commit
    assert document["source"] == {"repo": repository.url, "ref": "main", "commit": commit}
    assert document["reproduce"][-1].endswith(f" --set seed=7 --set source.ref={commit}")


def test_every_stage_works_among_the_same_files(tmp_path, repository, looking):
    """The bundle lies over the repository; modules of the repository can be imported; then all is as before."""
    text = f'suite: epymodelingsuite\nseed: 7\nsource: {{repo: "{repository.url}"}}\n'
    dropped = bundle(text, **{"shadowed.csv": "bundle", "own.csv": "own"})
    run = StageRun.of(tmp_path / "run", text, dropped, "flu.zip")
    before, path = Path.cwd(), list(sys.path)

    run.whole()

    seen = json.loads(run.store.read(f"{OUTPUTS}seen.json"))
    expected = {"shadowed": "bundle", "own": "own", "rate": 0.25, "names": sorted(SEEN)}
    assert seen == {"build": expected, "run": expected, "report": expected}
    assert (Path.cwd(), sys.path) == (before, path)


SEEN = ["data/cases.csv", "experiment.yaml", "functions/custom_rates.py", "own.csv", "shadowed.csv"]


@pytest.mark.parametrize("name", [REPOSITORY_ARCHIVE, "dropped/flu.zip"])
def test_files_that_changed_after_the_builder_are_refused(tmp_path, repository, looking, name):
    """By the runner, before anything of them is used; the manifest has their digests."""
    text = f'suite: epymodelingsuite\nseed: 7\nsource: {{repo: "{repository.url}"}}\n'
    run = StageRun.of(tmp_path / "run", text, bundle(text, **{"own.csv": "own", "shadowed.csv": "x"}), "flu.zip")
    assert run.build() == 0
    run.store.write(name, run.store.read(name) + b"more")

    assert run.compute() == [1]
    assert run.error(Stage.RUNNER).type == "IntegrityError"
    assert "listed in the manifest" in run.error(Stage.RUNNER).message


@pytest.mark.parametrize("name", ["flu.zip", "added.zip"])
def test_a_bundle_that_is_not_the_dropped_file_is_refused(tmp_path, repository, looking, name):
    """Replaced, or put beside it: modules in a bundle are imported. The job knows the MD5 of what was dropped."""
    text = f'suite: epymodelingsuite\nseed: 7\nsource: {{repo: "{repository.url}"}}\n'
    dropped = bundle(text, **{"own.csv": "own", "shadowed.csv": "x"})
    run = StageRun.of(tmp_path / "run", text, dropped, "flu.zip")
    run.order(Stage.BUILDER, IndexSet.below(1))
    md5 = base64.b64encode(hashlib.md5(dropped).digest()).decode()
    environment = {**run.environment(Stage.BUILDER), "EPYDROP_DROPPED_MD5": md5}
    run.store.write(f"dropped/{name}", bundle(text, **{"own.csv": "other", "shadowed.csv": "x"}))

    assert main(["builder"], environment) == 1
    assert f"dropped/{name} was altered" in run.error(Stage.BUILDER).message

    run.store.delete("dropped/added.zip")
    run.store.write("dropped/flu.zip", dropped)
    assert main(["builder"], {**environment, "BATCH_TASK_RETRY_ATTEMPT": "1"}) == 0


def test_a_bundle_replaces_links_and_files_of_the_repository(tmp_path, repository, looking):
    """It writes through no link, and a folder may stand where the repository has a file."""
    (repository.folder / "own.csv").symlink_to("data/cases.csv")
    repository.commit({"over": "a file", "under/deep.csv": "a folder"})
    text = f'suite: epymodelingsuite\nseed: 7\nsource: {{repo: "{repository.url}"}}\n'
    files = {"own.csv": "own", "shadowed.csv": "x", "over/there.csv": "1", "under": "a file"}
    run = StageRun.of(tmp_path / "run", text, bundle(text, **files), "flu.zip").whole()

    names = json.loads(run.store.read(f"{OUTPUTS}seen.json"))["run"]["names"]
    assert names == sorted([*SEEN, "over/there.csv", "under"])
    archive = run.store.read(f"{OUTPUTS}cases.csv").decode()
    assert archive == CASES


def test_a_module_of_the_repository_never_replaces_an_installed_one(tmp_path, repository, looking):
    """What is installed comes first on the path."""
    repository.commit({"json.py": "raise SystemExit('taken over')\n", "numpy.py": "raise SystemExit('taken over')\n"})
    text = f'suite: epymodelingsuite\nseed: 7\nsource: {{repo: "{repository.url}"}}\n'

    StageRun.of(tmp_path / "run", text, bundle(text, **{"own.csv": "", "shadowed.csv": ""}), "flu.zip").whole()
