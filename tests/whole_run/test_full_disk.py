"""A disk that fills while a run is at work: free some space, give the same command again, and get the same tables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.one_machine import SWEEP, Command, tables

# In a mount namespace of its own: a small disk, filled up to a few KiB; the command; the same command with space.
SCRIPT = """
set -e
mount -t tmpfs -o size=24m tmpfs small
cp experiment.yaml small
cd small
free=$(df --output=avail -k . | tail -1)
head -c $(((free - KIB) * 1024)) /dev/zero > ballast
set +e
TMPDIR=$PWD PYTHON -m epydrop_workstation.cli run experiment.yaml --root root > ../first.txt 2>&1
echo $? > ../codes.txt
rm ballast
PYTHON -m epydrop_workstation.cli run experiment.yaml --root root --json > ../second.json 2> ../second.txt
echo $? >> ../codes.txt
cp -r root/runs ..
"""
NAMESPACE = ["unshare", "--map-root-user", "--mount"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of the tables when nothing goes wrong."""
    whole = Command(tmp_path_factory.mktemp("undisturbed"))
    return tables(whole.run(whole.file(SWEEP.replace("exp_id", "run: {max_attempts: 1}\nexp_id")))["outputs"])


@pytest.mark.parametrize("kib", [100, 640, 1100])
def test_a_run_that_found_the_disk_full_goes_on_once_there_is_space(tmp_path, undisturbed, kib):
    """Wherever the space ran out: in the trigger folder, the state, a log, a result or the outputs."""
    if subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no namespace for a small disk can be made here")
    (tmp_path / "small").mkdir()
    (tmp_path / "experiment.yaml").write_text(SWEEP.replace("exp_id", "run: {max_attempts: 1}\nexp_id"))
    script = SCRIPT.replace("KIB", str(kib)).replace("PYTHON", sys.executable)

    subprocess.run([*NAMESPACE, "bash", "-c", script], check=True, cwd=tmp_path, env={**os.environ, "COLUMNS": "300"})

    assert (tmp_path / "codes.txt").read_text().split() == ["75", "0"], (tmp_path / "first.txt").read_text()
    assert "free some space, and run the same command again" in (tmp_path / "first.txt").read_text()
    (outputs,) = Path(tmp_path / "runs" / "sweep").glob("*/outputs/*/")
    assert tables(str(outputs)) == undisturbed
