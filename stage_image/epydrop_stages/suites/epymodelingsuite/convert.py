"""Converts the package's results to ``contract.results``, the form of digests, quality checks and report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from epydrop_stages.contract.results import Days, Floats, Posterior, Result, Trajectories
from epydrop_stages.suites.epymodelingsuite.work import CALIBRATION, PackageResult

_TOTAL = "_total"  # epydemix's suffix for sums over age groups
_BASELINE = "baseline"  # the package's name for its only scenario


def as_result(made: PackageResult) -> Result:
    """The result of one task: totals over all age groups, in people, on the dates to which the package resampled.

    A weekly transition is the sum over the week that ends on its date, a compartment its value on that date. If start
    dates were sampled, the package fills the time before them with zeros: only dates on which every simulation runs
    are kept, and the people counted before are summed in ``earlier``. For a calibration only the fitted variable is
    available, on the dates of the data.
    """
    calibrated = made.kind == CALIBRATION
    found = _calibrated(made) if calibrated else _simulated(made.output.results.trajectories)
    return Result(
        tuple(found),
        population=made.people,
        contacts=made.contacts,
        posterior=_posterior(made.output.results) if calibrated else None,
        observed=made.observed,
    )


def _simulated(runs: Sequence[Any]) -> Iterator[Trajectories]:
    tables = [{**run.compartments, **run.transitions} for run in runs]
    names = [name for name in tables[0] if name.endswith(_TOTAL)]
    yield Trajectories("simulation", _days(runs[0].dates), _stacked(tables, names), _equal(len(runs)))


def _calibrated(made: PackageResult) -> Iterator[Trajectories]:
    results = made.output.results
    target = made.observed.variable if made.observed else "data"
    selected = results.get_selected_trajectories()
    # Without dates the fitted values cannot be placed in time.
    if len(selected) and "date" in selected[0]:
        values = np.stack([np.asarray(run["data"], dtype=float) for run in selected])
        weights = _normed(results.get_weights())
        yield Trajectories("calibration", _days(selected[0]["date"]), {target: values}, weights)
    for scenario, runs in results.projections.items():
        if runs := [run for run in runs if run]:
            yield _projected("" if scenario == _BASELINE else scenario, runs, target)


def _projected(scenario: str, runs: Sequence[Mapping[str, Any]], target: str) -> Trajectories:
    names = [name for name in runs[0] if name.endswith(_TOTAL) or name == target]
    people = [name for name in names if name.endswith(_TOTAL) and "_to_" not in name]
    dates = _days(runs[0]["date"])
    stacked = _stacked(runs, names)
    begun = np.all(np.sum([stacked[name] for name in people], axis=0) > 0, axis=0)
    return Trajectories(
        "projection",
        dates[begun],
        {name: values[:, begun] for name, values in stacked.items()},
        _equal(len(runs)),
        scenario,
        {name: stacked[name][:, ~begun].sum(axis=1) for name in names if "_to_" in name},
    )


def _posterior(results: Any) -> Posterior:
    table = results.get_posterior_distribution()
    values = {str(name): table[name].to_numpy(dtype=float) for name in table.columns}
    return Posterior(values, _normed(results.get_weights()), np.asarray(results.get_distances(), dtype=float))


def _stacked(runs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Floats]:
    return {name: np.stack([np.asarray(run[name], dtype=float) for run in runs]) for name in names}


def _days(dates: Sequence[Any]) -> Days:
    days: Days = pd.DatetimeIndex(pd.to_datetime(list(dates))).to_numpy().astype("datetime64[D]")
    return days


def _equal(count: int) -> Floats:
    return np.full(count, 1 / count)


def _normed(weights: Any) -> Floats:
    found = np.asarray(weights, dtype=float)
    return np.asarray(found / found.sum())
