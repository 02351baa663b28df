"""The benchmarks, which nobody starts every day, still fit the code that they measure."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.paths import ROOT

BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_each_finds_all_that_it_imports(path):
    """In a process of its own, for what they import is heavy; nothing is measured."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {path.stem}"], cwd=path.parent, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
