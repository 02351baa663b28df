"""A small weekly forecast: the experiment, its data, and a run of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from epydrop_workstation.packing import pack
from support.stage_run import StageRun, experiment_in

CASES = "Susceptible_to_Infected_total"
WINDOW = {"start_date": "2026-01-04", "end_date": "2026-01-31"}
WEEKS = {
    "2026-01-10": 60,
    "2026-01-17": 130,
    "2026-01-24": 260,
    "2026-01-31": 480,
    "2026-02-07": 700,  # from here on held back
    "2026-02-14": 800,
    "2026-02-21": 650,
}


def weekly(**changes: Any) -> dict[str, Any]:
    """The experiment, with other values at some dotted paths, '__' for '.'."""
    document: dict[str, Any] = {
        "exp_id": "weekly",
        "seed": 7,
        "model": {
            "model": {"type": "SIR"},
            "population": {"size": 8000},
            "parameters": {"recovery_rate": 0.35},
            "simulation": {"start_date": "2026-01-04"},
            "initial_conditions": {"Susceptible": 7970, "Infected": 30},
            "calibration": {
                "target_variable": CASES,
                "num_particles": 6,
                "num_generations": 2,
                "priors": {"transmission_rate": {"distribution": "uniform", "low": 0.3, "high": 0.7}},
            },
            "projection": {"n_simulations": 5, "simulation": {"end_date": "2026-02-21"}},
        },
        "data": {"file": "cases.csv", "fitting_window": dict(WINDOW), "names": {"population": "MA"}},
        "outputs": {"quantiles": [0.1, 0.5, 0.9], "formats": ["csv.gz"]},
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = document
        for step in parents:
            place = place.setdefault(step, {})
        place[last] = value
    return document


def csv_of(weeks: dict[str, Any] | None = None, location: str = "MA") -> str:
    """The data as people have them."""
    rows = "".join(f"{day},{location},{value}\n" for day, value in (weeks or WEEKS).items())
    return f"date,location,value\n{rows}"


def run_of(folder: Path, document: dict[str, Any], data: str | bytes | None = None) -> StageRun:
    """A run of an experiment that came with its data in a bundle."""
    source = folder / "source"
    source.mkdir(parents=True)
    (source / "weekly.yaml").write_text(json.dumps(document, indent=1))
    content = csv_of() if data is None else data
    (source / "cases.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    name, bundle = pack(source / "weekly.yaml")
    return StageRun.of(folder / "run", experiment_in(bundle), bundle, name)
