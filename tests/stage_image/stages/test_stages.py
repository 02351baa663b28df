"""The three stages on one folder: builder, runner times N, output, through the ``main`` that Batch calls."""

from __future__ import annotations

import gzip
import io
import json
import random
import shutil

import pandas as pd
import pytest
from ruamel.yaml import YAML
from support.stage_run import CALIBRATED, INPUTS, KEYS, OUTPUTS, RESULTS, RUN_ID, SIR, StageRun, signing_keys

from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import (
    Stage,
    refused_name,
    result_name,
    telemetry_name,
)
from epydrop.formats.serialization import from_json
from epydrop.formats.stage_records import Complete, Manifest, Refusal, Telemetry
from epydrop_stages.artifacts.signatures import SigningKeys
from epydrop_stages.artifacts.signed_files import Meta, read_artifact, write_artifact
from epydrop_stages.stages.builder import read_lines


@pytest.fixture
def built(tmp_path):
    run = StageRun.of(tmp_path / "run", SIR)
    assert run.build() == 0
    return run


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run of simulations that went through all stages; read only."""
    return StageRun.of(tmp_path_factory.mktemp("done") / "run", SIR).whole()


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """A calibrated run that went through all stages; read only."""
    return StageRun.of(tmp_path_factory.mktemp("calibrated") / "run", CALIBRATED).whole()


@pytest.fixture
def computed(done, tmp_path):
    """The run of simulations before its outputs were made, for one test to change."""
    shutil.copytree(done.folder, tmp_path / "run", ignore=shutil.ignore_patterns("outputs"))
    return StageRun(tmp_path / "run", {Stage.BUILDER: 1, Stage.RUNNER: 1})


def frame(run, name):
    """A table from both formats, which must agree."""
    path = f"{OUTPUTS}{name}"
    parquet = pd.read_parquet(io.BytesIO(run.store.read(f"{path}.parquet")))
    csv = pd.read_csv(io.BytesIO(gzip.decompress(run.store.read(f"{path}.csv.gz"))))
    left, right = parquet.astype(object).where(parquet.notna(), None), csv.astype(object).where(csv.notna(), None)
    if "date" in left:
        left["date"] = left["date"].astype(str)
    pd.testing.assert_frame_equal(left, right, check_dtype=False)
    return parquet


# -- the whole chain ---------------------------------------------------------------------------


def test_the_manifest_says_what_was_built(done):
    """Count, ranges, and a task list that fits its digest."""
    manifest = from_json(Manifest, done.store.read(f"{INPUTS}manifest.json"), "manifest")
    lines = list(read_lines(done.store.read(f"{INPUTS}tasks.jsonl.zst")))

    assert (manifest.run_id, manifest.tasks, manifest.locations) == (RUN_ID, 4, {"population": (0, 4)})
    assert manifest.versions["epydemix"]
    assert [(line.index, line.key.parameters["parameters.recovery_rate"], line.key.chain) for line in lines] == [
        (0, 0.2, 0),
        (1, 0.2, 1),
        (2, 0.3, 0),
        (3, 0.3, 1),
    ]


def test_a_run_publishes_tables_report_and_the_mark_last(done):
    """Every file of the set is in complete.json with its digest."""
    complete = from_json(Complete, done.store.read(f"{OUTPUTS}complete.json"), "complete")
    assert {f"{OUTPUTS}{name}" for name in complete.files} | {f"{OUTPUTS}complete.json"} == set(done.names(OUTPUTS))
    assert json.loads(done.store.read("outputs/latest.json"))["folder"] == OUTPUTS
    assert json.loads(done.store.read("run_metadata.json"))["counts"] == {"tasks": 4, "succeeded": 4, "missing": 0}
    newest = max(done.store.list(OUTPUTS), key=lambda info: info.generation)
    assert newest.name == f"{OUTPUTS}complete.json"


def test_another_set_of_outputs_has_what_it_asks_for_and_says_how_to_get_it_again(computed):
    """Its configuration is in it, and the commands use it; trajectories and formats can be left out."""
    config = {"outputs": {"quantiles": [0.4, 0.5, 0.6], "trajectories": False, "formats": ["parquet"]}}

    assert computed.publish(outputs="outputs/again/", output_config=config) == 0

    tables = [name for name in computed.names("outputs/again/") if name.endswith((".csv.gz", ".parquet"))]
    assert tables == ["outputs/again/model_metadata.parquet", "outputs/again/quantiles.parquet"]
    assert YAML(typ="safe").load(computed.store.read("outputs/again/output_config.yaml")) == config
    metadata = json.loads(computed.store.read("run_metadata.json"))
    assert metadata["output_config"] == config
    assert metadata["reproduce"][1].startswith("epydrop rerun-output latest --config ")
    assert "rerun-output" in computed.store.read("outputs/again/report.html").decode()


def test_tables_agree_in_both_formats_and_make_sense(done):
    """People are conserved, quantiles ascend, every task has its row."""
    trajectories = frame(done, "trajectories")
    people = trajectories[["Susceptible_total", "Infected_total", "Recovered_total"]].sum(axis=1)
    assert set(people) == {500.0}
    assert len(trajectories) == 4 * 3 * 20
    quantiles = frame(done, "quantiles").pivot_table(
        index=["parameters.recovery_rate", "variable", "date"], columns="quantile", values="value"
    )
    assert (quantiles[0.05] <= quantiles[0.5]).all()
    assert (quantiles[0.5] <= quantiles[0.95]).all()
    assert list(frame(done, "model_metadata")["state"]) == ["succeeded"] * 4


def test_quantiles_pool_the_chains(done):
    """The quantiles of a point are those of all simulations of all its chains."""
    runs = frame(done, "trajectories").query("`parameters.recovery_rate` == 0.3")
    expected = runs.groupby("date")["Infected_total"].quantile(0.95)
    found = frame(done, "quantiles").query(
        "`parameters.recovery_rate` == 0.3 and variable == 'Infected_total' and quantile == 0.95"
    )
    assert found.set_index("date")["value"].tolist() == pytest.approx(expected.tolist())


def test_a_calibrated_run_has_posteriors_and_a_projection(calibrated):
    """Weights add up in each chain, particles are inside their priors, the projection goes on after the data."""
    posteriors = frame(calibrated, "posteriors")
    assert posteriors.groupby("chain")["weight"].sum().tolist() == pytest.approx([1.0, 1.0])
    assert posteriors["transmission_rate"].between(0.2, 1.0).all()
    days = frame(calibrated, "trajectories").groupby("kind")["date"].nunique()
    assert days.to_dict() == {"calibration": 10, "projection": 15}
    report = calibrated.store.read(f"{OUTPUTS}report.html").decode()
    assert "R₀" in report
    assert "<script" not in report


def test_tables_are_the_same_bytes_in_another_order_and_when_repeated(calibrated, tmp_path):
    """Neither the order of the tasks nor repeats show in the tables."""
    crooked = StageRun.of(tmp_path / "crooked", CALIBRATED)
    assert crooked.build() == crooked.build() == 0
    order = list(range(crooked.tasks()))
    random.Random(1).shuffle(order)
    assert set(crooked.compute(reversed(order)) + crooked.compute([1], overwrite=True)) == {0}
    assert crooked.publish() == 0

    assert calibrated.table_digests() == crooked.table_digests()
    assert len(calibrated.table_digests()) == 8


# -- the runner --------------------------------------------------------------------------------


def test_a_task_with_a_valid_result_does_nothing(computed):
    """The telemetry says that it skipped; the result is not touched."""
    before = computed.store.stat(result_name(RESULTS, 2)).generation

    assert computed.compute([2]) == [0]

    telemetry = computed.store.read(telemetry_name(Stage.RUNNER, 2, 2, 0))
    assert from_json(Telemetry, telemetry, "telemetry").skipped
    assert computed.store.stat(result_name(RESULTS, 2)).generation == before


def test_orders_can_say_to_overwrite(computed):
    """The result is made again, with the same content."""
    before = computed.store.stat(result_name(RESULTS, 2)).generation

    assert computed.compute([2], overwrite=True) == [0]

    assert computed.store.stat(result_name(RESULTS, 2)).generation > before


def test_a_damaged_result_is_made_again(computed):
    """A result counts only if it verifies."""
    sound = computed.store.read(result_name(RESULTS, 1))
    computed.store.write(result_name(RESULTS, 1), b"damaged")

    assert computed.compute([1]) == [0]
    assert computed.store.read(result_name(RESULTS, 1)) == sound


def test_positions_follow_the_orders(built):
    """The job's task 0 is the first of the indices that the orders name, and the records count within the run."""
    built.order(Stage.RUNNER, IndexSet.of([1, 3]))

    assert built.start(Stage.RUNNER, 1) == 0

    assert built.names(RESULTS) == [result_name(RESULTS, 3)]
    assert built.names("telemetry/runner") == [telemetry_name(Stage.RUNNER, 1, 3, 0)]


def test_telemetry_counts_bytes_and_time(computed):
    """What a task read and wrote, and how long it took."""
    record = from_json(Telemetry, computed.store.read(telemetry_name(Stage.RUNNER, 1, 0, 0)), "telemetry")

    assert record.bytes_out >= computed.store.stat(result_name(RESULTS, 0)).size
    assert record.bytes_in > 0
    assert record.wall_seconds > 0
    assert record.peak_memory_mib > 10


# -- the output stage refuses ------------------------------------------------------------------


def test_missing_bad_and_foreign_results_are_refused_in_one_list(computed):
    """All of them at once, each with its reason; nothing is published."""
    store = computed.store
    store.delete(result_name(RESULTS, 0))
    store.write(result_name(RESULTS, 1), store.read(result_name(RESULTS, 1))[:-20])
    store.write(result_name(RESULTS, 3), store.read(result_name(RESULTS, 2)))

    assert computed.publish() == 1

    refusal = from_json(Refusal, store.read(refused_name(1)), "refusal")
    assert refusal.indices == IndexSet.of([0, 1, 3])
    assert refusal.reasons[0] == "missing"
    assert "truncated" in refusal.reasons[1]
    assert "another index: expected 3, found 2" in refusal.reasons[3]
    assert computed.names(OUTPUTS) == []
    assert computed.error(Stage.OUTPUT).type == "ResultsRefused"


def test_a_result_of_another_run_is_refused(computed):
    """Even if it is signed with the same key."""
    foreign = Meta("result", "20200101-000000-00000000", Stage.RUNNER, 2)
    write_artifact(computed.store, result_name(RESULTS, 2), "foreign", foreign, signing_keys())

    assert computed.publish() == 1

    assert "another run" in from_json(Refusal, computed.store.read(refused_name(1)), "refusal").reasons[2]


def test_a_result_with_an_unknown_signature_is_refused(computed):
    """Nobody without a key can slip a result in."""
    meta = Meta("result", RUN_ID, Stage.RUNNER, 2)
    stranger = SigningKeys({"stranger": b"a key of somebody else"})
    write_artifact(computed.store, result_name(RESULTS, 2), "foreign", meta, stranger)

    assert computed.publish() == 1

    assert "unknown key 'stranger'" in from_json(Refusal, computed.store.read(refused_name(1)), "refusal").reasons[2]


def test_orders_may_allow_gaps(computed):
    """Missing tasks stand in the metadata, the mark and the report, with what is known of them."""
    computed.store.delete(result_name(RESULTS, 1))

    assert computed.publish(missing=IndexSet.of([1])) == 0

    assert list(frame(computed, "model_metadata")["state"]) == ["succeeded", "missing", "succeeded", "succeeded"]
    assert from_json(Complete, computed.store.read(f"{OUTPUTS}complete.json"), "complete").missing == IndexSet.of([1])
    assert "no error record" in computed.store.read(f"{OUTPUTS}report.html").decode()


def test_keys_may_rotate_between_the_stages(built, monkeypatch):
    """What an old key signed is still read when a new one signs."""
    first, later = dict(list(KEYS.items())[:1]), {**KEYS, "newest": "a key that came later"}
    monkeypatch.setattr("support.stage_run.KEYS", first)
    assert built.build() == 0
    monkeypatch.setattr("support.stage_run.KEYS", later)

    assert set(built.compute()) == {0}
    meta = Meta("result", RUN_ID, Stage.RUNNER, 0)
    assert read_artifact(built.store, result_name(RESULTS, 0), meta, SigningKeys.parse(json.dumps(later)))
