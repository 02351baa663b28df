"""Time from ``epydrop run`` to the first task of each stage, relative to importing the modelling code."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3
EXPERIMENT = """
exp_id: first-task
seed: 1
model:
  model: {type: SIR}
  population: {size: 1000}
  parameters: {transmission_rate: 0.3, recovery_rate: 0.1}
  simulation: {start_date: 2026-01-01, end_date: 2026-02-01, n_simulations: 2}
  initial_conditions: {Susceptible: 990, Infected: 10, Recovered: 0}
tasks: {grid: {parameters.transmission_rate: [0.2, 0.3]}}
"""


def one_run() -> dict[str, float]:
    """Seconds from the command to the first task of each stage, and to the end."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "experiment.yaml"
        file.write_text(EXPERIMENT)
        root = Path(folder) / "root"
        began = time.time()
        command = [sys.executable, "-m", "epydrop_workstation.cli", "run", str(file), "--root", str(root), "--json"]
        printed = subprocess.run(command, check=True, capture_output=True).stdout
        end = time.time() - began
        telemetry = Path(json.loads(printed)["folder"]) / "telemetry"
        first = {
            stage.name: min(json.loads(record.read_text())["started"] for record in stage.rglob("*.json")) - began
            for stage in telemetry.iterdir()
        }
        return {**first, "end": end}


def bare_import() -> float:
    """Seconds in which a new Python process imports the modelling code and nothing of ours."""
    began = time.time()
    subprocess.run([sys.executable, "-c", "import epydemix, scipy.stats"], check=True)
    return time.time() - began


def main() -> None:
    """Prints one table of medians."""
    bare = statistics.median(bare_import() for _ in range(ROUNDS))
    runs = [one_run() for _ in range(ROUNDS)]
    print(f"from the command to the first task of a stage, median of {ROUNDS}; over `import epydemix` ({bare:.2f} s)")
    for moment in ("builder", "runner", "output", "end"):
        value = statistics.median(run[moment] for run in runs)
        print(f"{moment:<8}{value:>8.2f} s{value / bare:>8.2f}")


if __name__ == "__main__":
    main()
