"""Files that somebody altered, exchanged or copied between the stages are refused, whoever wrote them."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace

import pytest
from support.stage_run import INPUTS, OUTPUTS, RUN_ID, SIR, StageRun

from epydrop.errors import IntegrityError
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import RESOLVED_EXPERIMENT, Stage, complete_name, orders_name
from epydrop.formats.stage_records import Complete, Manifest
from epydrop_stages.stages.task import main


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run that was built and computed; read only."""
    run = StageRun.of(tmp_path_factory.mktemp("done") / "run", SIR)
    assert run.build() == 0
    assert set(run.compute()) == {0}
    return run


@pytest.fixture
def computed(done, tmp_path):
    """A copy of it, for one test to change."""
    shutil.copytree(done.folder, tmp_path / "run")
    return StageRun(tmp_path / "run", {Stage.BUILDER: 1, Stage.RUNNER: 1})


def test_a_forged_task_list_is_refused(computed):
    """The task list must be the one in the manifest."""
    computed.store.write(f"{INPUTS}tasks.jsonl.zst", b"forged")

    assert computed.publish() == 1
    assert computed.error(Stage.OUTPUT).type == "IntegrityError"


def altered(store, name, change):
    """The document under this name with other values, stored."""
    store.write(name, json.dumps({**json.loads(store.read(name)), **change}).encode())


def test_altered_orders_are_refused(computed):
    """The job was made for other orders, and says so by their digest."""
    computed.order(Stage.OUTPUT, IndexSet.below(1))
    environment = computed.environment(Stage.OUTPUT)
    altered(computed.store, orders_name(Stage.OUTPUT, 1), {"missing": "2"})

    assert main(["output"], environment) == 1
    assert "not the orders that the job was made for" in computed.error(Stage.OUTPUT).message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"locations": {"Elsewhere": [0, 4]}}, "its signature does not fit"),
        ({"signature": ""}, "is not signed"),
        ({"signature": "nobody:00"}, "unknown key 'nobody'"),
    ],
)
def test_an_altered_manifest_is_refused(computed, change, words):
    """It says which tasks belong to which location, and holds the digests of everything else."""
    altered(computed.store, f"{INPUTS}manifest.json", change)

    assert computed.publish() == 1
    assert words in computed.error(Stage.OUTPUT).message


def test_an_experiment_that_changed_after_the_builder_is_refused(computed):
    """Else the outputs would describe what was not computed."""
    text = computed.store.read(RESOLVED_EXPERIMENT)
    computed.store.write(RESOLVED_EXPERIMENT, text + b"# another\n")

    assert computed.publish() == 1
    assert "not the one that the builder read" in computed.error(Stage.OUTPUT).message


def test_an_experiment_that_changed_before_the_builder_is_refused(tmp_path):
    """It may name a repository, whose code the tasks run, so it is compared with what the functions accepted."""
    run = StageRun.of(tmp_path, SIR)
    run.order(Stage.BUILDER, IndexSet.below(1))
    environment = {
        **run.environment(Stage.BUILDER),
        "EPYDROP_EXPERIMENT_SHA256": hashlib.sha256(run.store.read(RESOLVED_EXPERIMENT)).hexdigest(),
    }
    run.store.write(RESOLVED_EXPERIMENT, run.store.read(RESOLVED_EXPERIMENT) + b"# another\n")

    assert main(["builder"], environment) == 1
    assert "not the one that was accepted" in run.error(Stage.BUILDER).message
    assert not run.names(INPUTS)


def test_what_marks_outputs_as_complete_is_signed(computed):
    """For its own name: a copy elsewhere does not pass for another set of outputs."""
    assert computed.publish() == 0
    name = complete_name(OUTPUTS)
    assert computed.records.read(Complete, name).missing == IndexSet()
    computed.store.write("elsewhere/complete.json", computed.store.read(name))

    with pytest.raises(IntegrityError, match=f"another name.*made for {name} of run {RUN_ID}"):
        computed.records.read(Complete, "elsewhere/complete.json")


def test_the_manifest_of_another_run_is_refused(computed):
    """Its name is the same in every run, so the run is compared, too: else states would get each other's tasks."""
    name, other = f"{INPUTS}manifest.json", RUN_ID.replace("0123abcd", "99999999")
    replace(computed.records, run_id=other).write(name, computed.records.read(Manifest, name))

    assert computed.publish() == 1
    assert f"it was made for {name} of run {other}" in computed.error(Stage.OUTPUT).message


@dataclass(frozen=True)
class LaterManifest(Manifest):
    """The manifest of a later version, which has one more field."""

    more: str = ""


def test_a_later_version_with_more_fields_verifies_what_this_one_signed(computed):
    """What is signed is what is stored, not what the reader makes of it."""
    manifest = computed.records.read(LaterManifest, f"{INPUTS}manifest.json")

    assert (manifest.tasks, manifest.more) == (4, "")
