"""Tables concatenated from blocks are ordinary csv.gz and Parquet files."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from epydrop.errors import BadInput
from epydrop_stages.contract.description import Columns
from epydrop_stages.contract.results import Result, Trajectories
from epydrop_stages.contract.suite import TaskKey, TaskLine
from epydrop_stages.outputs.pooled_point import PooledPoint
from epydrop_stages.outputs.tables import table_files
from epydrop_stages.outputs.tables.blocks import BlockWriter, Layout
from epydrop_stages.outputs.tables.model_metadata import TaskRows, task_row
from epydrop_stages.outputs.tables.table_files import TableFiles

COLUMNS = {"name": "text", "place": "integer", "value": "number"}


def table(folder, rows, formats=("csv.gz", "parquet")):
    """A table of these blocks, each a list of (name, place, value)."""
    folder.mkdir(exist_ok=True)
    layout = Layout("t", COLUMNS, formats)
    made = TableFiles(folder, layout)
    for number, block in enumerate(rows):
        writer = BlockWriter(folder, layout, str(number))
        for name, place, value in block:
            writer.add({"name": name, "place": [place], "value": [value]})
        made.append(writer.close())
    return {output.name: output.path for output in made.close()}


def test_both_formats_hold_the_rows_of_all_blocks_in_order(tmp_path):
    """Text with commas and quotes, numbers to the last digit, a block without rows."""
    rows = [[("a", 1, 0.1), ('b, "c"', 2, 1 / 3)], [], [("d", 3, 1e300)]]

    found = table(tmp_path / "t", rows)

    csv = pd.read_csv(found["t.csv.gz"])
    parquet = pd.read_parquet(found["t.parquet"])
    assert csv.to_numpy().tolist() == [list(row) for block in rows for row in block]
    pd.testing.assert_frame_equal(csv.astype(object), parquet.astype(object), check_dtype=False)


def test_a_csv_is_one_gzip_file_of_several_members(tmp_path):
    """One header; no file names and no times in the members."""
    data = table(tmp_path / "t", [[("a", 1, 0.5)], [("b", 2, 1.5)]])["t.csv.gz"].read_bytes()

    with gzip.open(io.BytesIO(data), "rt") as text:
        assert text.read() == '"name","place","value"\n"a",1,0.5\n"b",2,1.5\n'
    members = data.split(b"\x1f\x8b\x08\x00\x00\x00\x00\x00")
    assert len(members) == 4


def test_blocks_are_deleted_after_use(tmp_path):
    """Only the tables remain."""
    table(tmp_path / "t", [[("a", 1, 0.5)], [("b", 2, 1.5)]])

    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == ["t.csv.gz", "t.parquet"]


def test_small_blocks_share_a_row_group(tmp_path, monkeypatch):
    """Otherwise a thousand small points would be a thousand groups."""
    monkeypatch.setattr(table_files, "_ROWS_PER_GROUP", 5)

    found = table(tmp_path / "t", [[("a", place, 0.5), ("b", place, 1.5)] for place in range(6)], ("parquet",))

    groups = pq.ParquetFile(found["t.parquet"]).metadata
    assert [groups.row_group(group).num_rows for group in range(groups.num_row_groups)] == [5, 5, 2]


def test_tasks_without_a_result_are_in_their_places(tmp_path):
    """By index, before, between and after the others."""
    lines = [TaskLine(index, TaskKey("here", {}, index), 1) for index in range(5)]
    columns = {"index": "integer", "chain": "integer", "state": "text"}
    files = TableFiles(tmp_path, Layout("model_metadata", columns, ("csv.gz",)))
    rows = TaskRows(files, [lines[0], lines[2], lines[4]], Columns())
    result = Result((), 10.0, 1.0)

    for line in (lines[1], lines[3]):
        rows.add({line.index: task_row(line, {}, result)})
    rows.close()

    (table,) = files.close()
    states = pd.read_csv(table.path).set_index("index")["state"]
    assert list(states.items()) == list(enumerate(["missing", "succeeded", "missing", "succeeded", "missing"]))


def test_results_of_two_kinds_cannot_be_pooled():
    """One calibrated chain and one that is not."""
    days = np.arange("2026-01-01", "2026-01-04", dtype="datetime64[D]")
    results = [
        Result((Trajectories(kind, days, {"x": np.ones((2, 3))}, np.full(2, 0.5)),), 10.0, 1.0)
        for kind in ("simulation", "calibration")
    ]
    lines = [TaskLine(chain, TaskKey("here", {}, chain), 1) for chain in range(2)]

    with pytest.raises(BadInput, match="results of here are of different kinds"):
        PooledPoint("here", {}, list(zip(lines, results, strict=True))).trajectories()
