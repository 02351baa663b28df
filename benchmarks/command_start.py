"""How much processor time the command takes to start, as a ratio to an empty Python program.

    python benchmarks/command_start.py [--rounds N]

``runs`` and ``show`` read a folder with one run, which is made first by a rejected experiment: nothing is computed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = [sys.executable, "-m", "epydrop_workstation.cli"]


def cpu_seconds(command: list[str]) -> float:
    """User and system time of one run of the command, in seconds."""
    before = os.times()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    """Print a line for each command: median seconds, and the ratio to ``python -c pass``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        experiment = Path(folder) / "wrong.yaml"
        experiment.write_text("modle: {}\n")
        root = ["--root", f"{folder}/runs"]
        subprocess.run([*COMMAND, "run", str(experiment), *root], check=False, capture_output=True)
        calls = {"--help": ["--help"], "runs": ["runs", *root], "show": ["show", "latest", *root]}
        base = statistics.median(cpu_seconds([sys.executable, "-c", "pass"]) for _ in range(rounds))
        print(f"python -c pass  {base:.3f} s")
        for name, words in calls.items():
            took = statistics.median(cpu_seconds([*COMMAND, *words]) for _ in range(rounds))
            print(f"{name:14}  {took:.3f} s  {took / base:5.1f} times")


if __name__ == "__main__":
    main()
