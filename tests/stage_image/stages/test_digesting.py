"""The output stage over several workers: the same bytes, the same refusals, and failures that are told."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from support.made_up_epidemics import STATES, forecast_run
from support.made_up_runs import OUTPUTS, RESULTS, RUN_ID

from epydrop.errors import ExitCode
from epydrop.formats.names import Stage, error_name, refused_name, result_name, telemetry_name
from epydrop.formats.serialization import from_json
from epydrop.formats.stage_records import Complete, ErrorRecord, Refusal, Telemetry
from epydrop_stages.suites import epydemix, registry

SMALL = {"chains": 2, "simulations": 12, "trajectories": True}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A forecast of six locations, as the runner left it: the smallest that is worth workers."""
    run = forecast_run(tmp_path_factory.mktemp("written") / "run", STATES[:6], **SMALL)
    return run.write()


@pytest.fixture
def run(written, tmp_path):
    """The same, for one test to change."""
    return copied(written, tmp_path / "run")


THREE_POINTS = """
import sys
from epydrop_stages.stages import digesting
from epydrop_stages.stages.task import main
digesting._FEW = 3
sys.exit(main(["output"]))
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Three locations published by one process and by two workers; drawing is slow, so the tests share them. Read only.

    Each in a process of its own, which forks before it has any threads; workers start at fewer points than usual.
    """
    written = forecast_run(tmp_path_factory.mktemp("three") / "run", STATES[:3], **SMALL).write()
    runs = {cores: copied(written, tmp_path_factory.mktemp("published") / str(cores)) for cores in (1, 2)}
    for cores, each in runs.items():
        one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        environment = {**os.environ, **one_thread, **each.environment(cores)}
        assert subprocess.run([sys.executable, "-c", THREE_POINTS], check=False, env=environment).returncode == 0
    return runs


def copied(run, folder):
    shutil.copytree(run.folder, folder)
    return replace(run, folder=folder)


def digests(run):
    """The digest of each file in complete.json, except for the page, which names its folder."""
    files = from_json(Complete, run.output("complete.json"), "complete").files
    return {name: digest for name, digest in files.items() if name != "report.html"}


def test_every_file_is_the_same_whatever_the_number_of_workers(published):
    """Tables, quality and figures, byte for byte."""
    one, two = (digests(run) for run in published.values())

    assert one == two
    assert {"quantiles.csv.gz", "trajectories.parquet", "quality.json", "figures/timeline.png"} <= one.keys()


def test_telemetry_counts_what_workers_read_and_spend(published):
    """Every result was read, though not by the stage itself."""
    run = published[2]

    record = from_json(Telemetry, run.store.read(telemetry_name(Stage.OUTPUT, 1, 0, 0)), "telemetry")
    results = sum(info.size for info in run.store.list(RESULTS))
    assert record.bytes_in > results
    assert record.cpu_seconds > 1.0
    assert record.peak_memory_mib > 100


def test_refusals_list_everything_whichever_worker_finds_it(run, monkeypatch):
    """Missing, truncated and misplaced results of several points, digested in parallel; nothing is published."""
    monkeypatch.setattr(epydemix, "digest", lambda *_: None)
    monkeypatch.setattr(epydemix, "report", lambda digests, *_: [*digests][:0])
    store = run.store
    store.delete(result_name(RESULTS, 3))
    store.write(result_name(RESULTS, 8), store.read(result_name(RESULTS, 8))[:-20])
    store.write(result_name(RESULTS, 11), store.read(result_name(RESULTS, 10)))

    assert run.publish(3) == 1

    refusal = from_json(Refusal, store.read(refused_name(1)), "refusal")
    assert list(refusal.indices) == [3, 8, 11]
    assert refusal.reasons[3] == "missing"
    assert "truncated" in refusal.reasons[8]
    assert "another index" in refusal.reasons[11]
    assert list(store.list(OUTPUTS)) == []


def test_after_the_first_bad_result_the_others_are_only_verified(run, monkeypatch):
    """Except for the point that was prefetched before the answer was known."""
    run.store.delete(result_name(RESULTS, 0))
    made = []
    monkeypatch.setattr(epydemix, "digest", lambda results, *rest: made.append(results[0].task.index))

    assert run.publish(1) == 1
    assert len(made) <= 1


def raising(error):
    def digest(results, experiment, facts, workspace):
        error()

    return digest


def divide_by_zero():
    return 1 / 0


def be_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def exhaust_memory():
    raise MemoryError("could not allocate")


@pytest.mark.parametrize(
    ("error", "code", "kind", "words"),
    [
        (divide_by_zero, ExitCode.BUG, "ZeroDivisionError", "in divide_by_zero"),
        (exhaust_memory, ExitCode.OUT_OF_MEMORY, "MemoryError", "in exhaust_memory"),
        (be_killed, ExitCode.OUT_OF_MEMORY, "WorkerLost", "while working on the results of tasks"),
    ],
)
def test_what_goes_wrong_in_a_worker_is_the_stages_error(run, monkeypatch, error, code, kind, words):
    """Type, traceback and exit code as if there were no workers; a killed one counts as out of memory."""
    monkeypatch.setattr(epydemix, "digest", raising(error))

    assert run.publish(2) == code

    record = from_json(ErrorRecord, run.store.read(error_name(Stage.OUTPUT, 1, 0, 0)), "error")
    assert (record.type, record.exit_code, record.run_id) == (kind, code, RUN_ID)
    assert words in record.traceback
    assert record.started > 0


def test_one_mistake_has_one_fingerprint_whichever_worker_makes_it(run, monkeypatch):
    """It is made where the traceback is."""
    monkeypatch.setattr(epydemix, "digest", raising(divide_by_zero))
    found = []
    for cores in (2, 3):
        assert run.publish(cores) == 1
        found.append(from_json(ErrorRecord, run.store.read(error_name(Stage.OUTPUT, 1, 0, 0)), "error").fingerprint)

    assert found[0] == found[1]


def test_the_verdict_is_the_same_in_every_place(published):
    """complete.json, run_metadata.json and the report agree with quality.json."""
    run = published[1]

    verdict = json.loads(run.output("quality.json"))["quality"]
    assert verdict == from_json(Complete, run.output("complete.json"), "complete").quality
    assert verdict == json.loads(run.store.read("run_metadata.json"))["quality"]
    assert f'class="verdict {verdict}"' in run.output("report.html").decode()


def test_a_suite_that_checks_nothing_has_no_verdict(run, monkeypatch):
    """Silence is not a pass."""
    monkeypatch.setitem(registry.SUITES, "epydemix", "odd_suite")
    monkeypatch.setattr("odd_suite.digest", lambda *_: 1)

    assert run.publish(1) == 0
    assert from_json(Complete, run.output("complete.json"), "complete").quality == ""
