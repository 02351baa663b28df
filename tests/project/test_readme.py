"""The README says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.pages import yaml_blocks
from support.paths import ROOT

from epydrop.experiment import read_experiment
from epydrop_stages.suites.registry import suite_named

README = (ROOT / "README.md").read_text()


def test_the_readme_fits_on_one_screen() -> None:
    """What is longer has a page in docs/."""
    assert len(README.splitlines()) <= 65


@pytest.mark.parametrize("target", ["demo", "test"])
def test_a_new_user_can_copy_each_of_the_two_commands(target: str) -> None:
    """Word for word, on a line of its own."""
    assert re.search(rf"^    make {target}\b", README, re.MULTILINE)


def test_the_smallest_experiment_makes_a_task_for_each_value(tmp_path: Path) -> None:
    """Saved as it is printed, it is valid for the schema and for the suite."""
    (text,) = yaml_blocks(README)

    experiment = read_experiment(text.encode(), "flu.yaml", "flu", ["seed=1"])
    tasks = list(suite_named(experiment.suite).build(experiment, tmp_path))

    assert [task.key.parameters["parameters.transmission_rate"] for task in tasks] == [0.3, 0.4, 0.5]
