"""The reference of all keys of an experiment, printed from the schema."""

from __future__ import annotations

import re

from epydrop_workstation.reference.experiment_keys import key_table

ROWS = {row.split("`")[1]: row for row in key_table().splitlines()[2:]}


def test_every_key_has_a_meaning():
    """Written beside the key, as its description."""
    assert [row for row in ROWS.values() if not re.fullmatch(r"\| `[\w.]+` \| .+ \| .* \| \S.+ \|", row)] == []
    assert {"exp_id", "tasks.lhs.ranges", "outputs.hub.model_id", "run.stages.output.max_run_duration"} <= set(ROWS)


def test_a_row_shows_limits_and_defaults():
    """As the schema enforces them."""
    assert ROWS["run.max_parallelism"].startswith("| `run.max_parallelism` | whole number from 1 to 5000 | `100` |")
    assert "| number above 0 to 1 | `1.0` |" in ROWS["run.min_success"]
    assert "| whole number from 0 to 9223372036854775807 | from the run id |" in ROWS["seed"]
    assert "| text | required |" in ROWS["source.repo"]
    assert "| section |  |" in ROWS["outputs.hub"]
