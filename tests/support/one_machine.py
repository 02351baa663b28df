"""Experiments that take seconds, and the command as a person starts it."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from epydrop_workstation.cli.main import main

PATIENCE = 1200.0  # seconds; only a hang takes so long, however busy the machine is

SWEEP = """
exp_id: sweep
seed: 7
model:
  model: {type: SIR}
  population: {size: 1000}
  parameters: {transmission_rate: 0.4, recovery_rate: 0.2}
  simulation: {start_date: 2026-01-01, end_date: 2026-03-01, n_simulations: 5}
  initial_conditions: {Susceptible: 990, Infected: 10, Recovered: 0}
tasks:
  grid: {parameters.transmission_rate: [0.3, 0.4, 0.5, 0.6]}
"""

CALIBRATION = """
exp_id: fit
seed: 7
model:
  model: {type: SIR}
  population: {size: 1000}
  parameters: {transmission_rate: 0.4, recovery_rate: 0.2}
  simulation: {start_date: 2026-01-01, end_date: 2026-01-12}
  initial_conditions: {Susceptible: 990, Infected: 10, Recovered: 0}
  calibration:
    observed_data: data/cases.csv
    observed_column: cases
    target_variable: Infected_total
    strategy: rejection
    num_particles: 5
    epsilon: 500
    priors: {transmission_rate: {distribution: uniform, low: 0.2, high: 0.6}}
tasks: {chains: 2}
"""


def slow(text: str = SWEEP, simulations: int = 150) -> str:
    """The same experiment with tasks that take about a second."""
    return text.replace("n_simulations: 5", f"n_simulations: {simulations}")


@dataclass
class Command:
    """The command in one folder; ``root`` is where its runs lie."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def file(self, text: str, name: str = "experiment.yaml") -> Path:
        """A file with this text; its path as the command, which runs in the folder, knows it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return Path(name)

    def start(self, *words: object) -> subprocess.Popen[str]:
        """The command, running."""
        return subprocess.Popen(
            [sys.executable, "-m", "epydrop_workstation.cli", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**os.environ, "EPYDROP_ROOT": str(self.root), "COLUMNS": "300", **self.variables},
        )

    def __call__(self, *words: object, code: int = 0) -> str:
        """What the command prints; it must end with this exit code, and never with a traceback."""
        output, errors = self._inside(words, code)
        assert "Traceback" not in output + errors
        return output + errors

    def run(self, file: Path, *words: object, code: int = 0) -> dict[str, Any]:
        """What ``run --json`` says of an experiment."""
        output, _ = self._inside(("run", file, "--json", *words), code)
        found: dict[str, Any] = json.loads(output)
        return found

    def _inside(self, words: tuple[object, ...], code: int) -> tuple[str, str]:
        """Standard output and error of the command, called in this process: starting Python is not the point."""
        output, errors = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors), unchanged_logs():
            patch.chdir(self.folder)
            patch.setattr(sys, "argv", ["epydrop", *map(str, words)])
            for name, value in {"EPYDROP_ROOT": str(self.root), "COLUMNS": "300", **self.variables}.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        assert (ended.value.code or 0) == code, (
            f"exit code {ended.value.code}\n{output.getvalue()}\n{errors.getvalue()}"
        )
        return output.getvalue(), errors.getvalue()

    def killed_when(self, is_time: Callable[[], bool], *words: object) -> None:
        """Starts the command and kills it, and nothing but it, at a moment."""
        process = self.start(*words)
        until(is_time, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def results(self) -> dict[Path, int]:
        """The results that are there, with when they were written."""
        return {path: path.stat().st_mtime_ns for path in self.root.glob("runs/*/*/runner-artifacts/result_*")}

    def alive(self) -> list[int]:
        """Every process that works in this folder: the command, what it started, and the tasks."""
        return [process.pid for process in psutil.process_iter() if _works_in(process, self.folder)]

    def is_at(self, stage: str) -> bool:
        """Whether a task of this stage is running."""
        folders = self.root.glob(f".epydrop/scratch/{stage}-*")
        return any(_works_in(process, folder) for folder in folders for process in psutil.process_iter())


@contextmanager
def unchanged_logs() -> Iterator[None]:
    """The command sets up logging for its process; the tests' own logging is restored."""
    logger = logging.getLogger("epydrop")
    before = logger.handlers[:], logger.level, logger.propagate
    try:
        yield
    finally:
        logger.handlers[:], logger.level, logger.propagate = before


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(folder)
    except psutil.Error:
        return False


def until(is_time: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Waits; fails when the process ends before, or nothing happens at all."""
    deadline = time.monotonic() + PATIENCE
    while not is_time():
        assert process is None or process.poll() is None, "the command ended too early"
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def tables(outputs: str | Path) -> dict[str, str]:
    """The digest of each table of a set of outputs."""
    files = [*Path(outputs).glob("*.csv.gz"), *Path(outputs).glob("*.parquet")]
    assert files
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
