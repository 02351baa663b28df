"""Reduces simulations to totals over age groups, and stacks many of them into arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from epydemix.model.simulation_output import Trajectory

from epydrop_stages.contract.results import Days, Floats, Trajectories


@dataclass(frozen=True)
class Totals:
    """One simulation in days: variable -> shape (days,), in people."""

    dates: Days
    variables: dict[str, Floats]


def totals_of(trajectory: Trajectory, target: str = "") -> Totals:
    """Totals over all age groups, plus the target variable if it is not a total."""
    both = {**trajectory.compartments, **trajectory.transitions}
    names = [name for name in both if name.endswith("_total") or name == target]
    return Totals(days_of(trajectory), {name: np.asarray(both[name], dtype=float) for name in names})


def days_of(trajectory: Trajectory) -> Days:
    """Simulated days, shape (days,)."""
    return np.array(trajectory.dates, dtype="datetime64[D]")


def series_of(trajectory: Trajectory, variable: str) -> Floats:
    """One variable, shape (days,), in people."""
    source = trajectory.compartments if variable in trajectory.compartments else trajectory.transitions
    return np.asarray(source[variable], dtype=float)


def collect(kind: str, runs: Sequence[Totals], weights: Floats, scenario: str = "") -> Trajectories:
    """Stack simulations: each variable gets the shape (simulations, days)."""
    first = runs[0]
    return Trajectories(kind, first.dates, {name: _stack(runs, name) for name in first.variables}, weights, scenario)


def _stack(runs: Iterable[Totals], name: str) -> Floats:
    return np.stack([run.variables[name] for run in runs])
