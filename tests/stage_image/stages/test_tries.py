"""What tries left behind is read side by side, within a bound, and what cannot be read is only missing."""

from __future__ import annotations

import pytest

from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage, error_name, refused_name, telemetry_name
from epydrop.formats.serialization import to_json
from epydrop.formats.stage_records import ErrorRecord, Refusal, Telemetry
from epydrop.stores import open_store
from epydrop_stages.artifacts.metered_store import MeteredStore
from epydrop_stages.artifacts.usage import Usage
from epydrop_stages.contract.suite import TaskKey, TaskLine
from epydrop_stages.stages import read_tries as tries
from epydrop_stages.stages.missing_results import explain_missing


@pytest.fixture
def store(tmp_path):
    return MeteredStore(open_store(tmp_path.as_uri() + "/"), Usage())


def leave_telemetry(store, index, retry=0):
    record = Telemetry("run", Stage.RUNNER, 1, index, retry, 100.0 + index, 5.0, 4.0, 300.0, 1, 1)
    store.write(telemetry_name(Stage.RUNNER, 1, index, retry), to_json(record))


def leave_error(store, index, *, attempt=1, kind="ValueError", fingerprint="aaa", retry=0):
    record = ErrorRecord(
        run_id="run",
        stage=Stage.RUNNER,
        attempt=attempt,
        index=index,
        retry=retry,
        exit_code=1,
        type=kind,
        message=f"task {index}",
        traceback="",
        fingerprint=fingerprint,
        started=100.0,
        wall_seconds=2.0,
    )
    store.write(error_name(Stage.RUNNER, attempt, index, retry), to_json(record))


def test_every_try_is_read_failed_ones_too(store):
    """Each retry by itself; a list of refused results is no try."""
    leave_telemetry(store, 0)
    leave_error(store, 1)
    leave_telemetry(store, 1, retry=1)
    store.write(refused_name(1), to_json(Refusal("run", {3: "missing"})))

    found = tries.read_tries(store)

    assert [(each.index, each.wall, each.failed) for each in found.read] == [
        (0, 5.0, False),
        (1, 5.0, False),
        (1, 2.0, True),
    ]
    assert (found.found, found.are_capped) == (3, False)


def test_of_too_many_some_are_read_that_lie_evenly(store, monkeypatch):
    """And it is told."""
    monkeypatch.setattr(tries, "_MAX_RECORDS", 4)
    for index in range(20):
        leave_telemetry(store, index)

    found = tries.read_tries(store)

    assert [each.index for each in found.read] == [0, 5, 10, 15]
    assert (found.found, found.are_capped) == (20, True)


def test_what_another_version_wrote_is_only_missing(store):
    """A report is no place to fail over a record."""
    leave_telemetry(store, 0)
    store.write(telemetry_name(Stage.RUNNER, 1, 1, 0), b'{"format": 99}')

    assert [each.index for each in tries.read_tries(store).read] == [0]


def test_bytes_are_counted_whoever_reads_them(store):
    """Threads read, one counts."""
    names = [telemetry_name(Stage.RUNNER, 1, index, 0) for index in range(40)]
    for index in range(40):
        leave_telemetry(store, index)
    store.usage.take()

    sizes = [len(data) for data in store.read_each(names)]

    assert store.usage.bytes_in == sum(sizes)
    assert list(store.read_each(["nothing/there"])) == [None]


class Context:
    """The part of a task's context that explanations need."""

    def __init__(self, store, causes):
        self.store, self.orders = store, self
        self.causes = {cause: IndexSet.of(indices) for cause, indices in causes.items()}


def test_missing_tasks_are_grouped_by_what_they_said_last(store):
    """The newest record counts; without one the core's cause does; the largest group comes first."""
    leave_error(store, 1, kind="OldError", fingerprint="old")
    leave_error(store, 1, attempt=2)
    leave_error(store, 2)
    leave_error(store, 3, kind="KeyError", fingerprint="bbb")
    lines = [TaskLine(index, TaskKey("here", {}, index), 1) for index in range(5)]
    context = Context(store, {"code": [1, 2, 3], "out_of_memory": [0]})

    reasons, gaps = explain_missing(context, lines)

    assert [reason for _, reason in reasons] == [
        "out of memory",
        "ValueError: task 1 (exit code 1, attempt 2)",
        "ValueError: task 2 (exit code 1, attempt 1)",
        "KeyError: task 3 (exit code 1, attempt 1)",
        "no error record",
    ]
    assert [(gap.cause, str(gap.tasks), gap.fingerprint) for gap in gaps] == [
        ("code", "1-2", "aaa"),
        ("out of memory", "0", ""),
        ("code", "3", "bbb"),
        ("no error record", "4", ""),
    ]
    assert gaps[0].record == "errors/runner/2/00001-0.json"
