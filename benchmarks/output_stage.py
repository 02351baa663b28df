"""The output stage at N = 10 and N = 1000: peak memory of all its processes, and time; what counts are the ratios.

A calibrated weekly forecast of N locations, 100 particles and 100 projections each over 147 days, all tables asked
for. The results repeat, the files do not: every one is read, verified and digested. Run it as ``make bench``.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.made_up_epidemics import STATES, forecast_run
from support.made_up_runs import MadeUpRun

from batch_emulator.engine.options import base_environment, usable_cores
from epydrop_stages.contract.results import Result

SIZES = (10, 1000)
SAMPLE_EVERY = 0.05  # seconds
DIFFERENT = 10  # results that are computed; the others are written from these
MIB = 1 << 20


@dataclass
class Measured:
    """One run of the stage: seconds, and MiB at their highest. ``pss`` counts what processes share once."""

    seconds: float = 0.0
    cpu: float = 0.0
    pss: float = 0.0
    rss: float = 0.0
    largest: float = 0.0
    per_result: float = 0.0


def forecast(folder: Path, tasks: int) -> MadeUpRun:
    """A run of so many locations on disk."""
    run = forecast_run(folder, [f"{STATES[n % 52]}_{n:04d}" for n in range(tasks)], chains=1, trajectories=True)
    compute, made = run.compute, {}

    def repeated(key: object, rng: object) -> Result:
        number = len(made) if len(made) < DIFFERENT else hash(str(key)) % DIFFERENT
        if number not in made:
            made[number] = compute(key, rng)
        return made[number]

    run.compute = repeated
    return run.write()


def memory(group: int) -> tuple[float, float]:
    """PSS and RSS of all processes of a group, in MiB."""
    pss = rss = 0
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group:
                found = process.memory_full_info()
                pss, rss = pss + getattr(found, "pss", found.rss), rss + found.rss
        except (psutil.Error, ProcessLookupError, PermissionError):
            continue
    return pss / MIB, rss / MIB


def measure(run: MadeUpRun, cores: int) -> Measured:
    """Runs the stage once, watching."""
    environment = {**base_environment(), **run.environment(cores)}
    found, began = Measured(), time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "epydrop_stages", "output"]
    with subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL) as stage:
        while stage.poll() is None:
            pss, rss = memory(stage.pid)
            found.pss, found.rss = max(found.pss, pss), max(found.rss, rss)
            time.sleep(SAMPLE_EVERY)
    if stage.returncode:
        raise SystemExit(f"the output stage ended with exit code {stage.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found.seconds = time.perf_counter() - began
    found.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found.largest = after.ru_maxrss / 1024
    found.per_result = 1000 * found.cpu / len(run.keys)
    return found


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=2, default=SIZES, metavar="N")
    parser.add_argument("--cores", type=int, default=usable_cores())
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = [measure(forecast(Path(folder) / str(size), size), told.cores) for size in told.sizes]
    few, many = told.sizes
    print(f"the output stage with {told.cores} workers, {few} and {many} results")
    print(f"{'':<34}{f'N = {few}':>12}{f'N = {many}':>12}{'ratio':>8}")
    for words, name in (
        ("peak PSS of all processes, MiB", "pss"),
        ("peak RSS of all processes, MiB", "rss"),
        ("peak RSS of the largest one, MiB", "largest"),
        ("wall time, s", "seconds"),
        ("processor time, s", "cpu"),
        ("processor time a result, ms", "per_result"),
    ):
        first, last = (getattr(each, name) for each in found)
        print(f"{words:<34}{first:>12.1f}{last:>12.1f}{last / first:>8.2f}")


if __name__ == "__main__":
    main()
