"""Simulations beside the observations of one point: the fit to what was fitted, the score on what was held back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from epydrop_stages.contract.results import Days, Floats, Observations, Trajectories
from epydrop_stages.inputs.observations import DAYS_OF, by_period
from epydrop_stages.outputs.pools import Pool, weighted_quantiles
from epydrop_stages.outputs.quality.checks import Finding, Severity, as_percent, plain_number
from epydrop_stages.outputs.quality.scores import LEVELS, is_covered, persistence, weighted_interval_score

SHARES = (0.5, 0.8, 0.95)
"""The central intervals whose coverage is told."""

FITS = 0.8
"""The share of fitted observations within the 95 % band below which the fit is doubtful."""


@dataclass(frozen=True)
class Score:
    """How one forecast did on ``count`` held-back observations: means over these; ``covered`` counts them."""

    location: str
    scenario: str
    parameters: Mapping[str, Any]
    count: int
    wis: float
    baseline_wis: float
    absolute_error: float
    covered: Mapping[float, int]

    @property
    def relative_wis(self) -> float:
        """Below 1: better than carrying the last observation forward."""
        return self.wis / self.baseline_wis if self.baseline_wis > 0 else float("nan")

    def to_document(self) -> dict[str, Any]:
        """As quality.json has it."""
        return {
            "location": self.location,
            "scenario": self.scenario,
            "parameters": dict(self.parameters),
            "observations": self.count,
            "weighted_interval_score": plain_number(self.wis),
            "of_the_baseline": plain_number(self.baseline_wis),
            "relative_to_the_baseline": plain_number(self.relative_wis),
            "absolute_error_of_the_median": plain_number(self.absolute_error),
            **{f"coverage_{share * 100:g}": plain_number(hit / self.count) for share, hit in self.covered.items()},
        }


def fit_finding(pool: Pool, parts: Sequence[Trajectories]) -> Finding | None:
    """The share of the fitted observations that the 95 % band of the calibrated simulations holds."""
    observed = pool.first.observed
    part = next((each for each in parts if observed and each.kind == "calibration"), None)
    if observed is None or part is None:
        return None
    dates, found = _quantiles_of(part, observed, observed.fitted)
    values = _values_on(observed, dates)
    if not len(values):
        return None
    share = float(np.mean(is_covered(LEVELS, found, values, 0.95)))
    severity = Severity.WARN if share < FITS else Severity.PASS
    held = f"{as_percent(share)} of {len(values)} fitted observations"
    sentence = f"{held} lie within the 95\u00a0% band of the calibrated model"
    numbers = {"share": share, "observations": len(values)}
    return Finding("fit", severity, sentence, pool.location, "", pool.parameters, numbers)


def scores_of(pool: Pool, parts: Iterable[Trajectories]) -> Iterator[Score]:
    """The score of each projection on what was held back and is known by now; nothing when that is nothing."""
    observed = pool.first.observed
    for part in parts:
        if observed is None or part.kind != "projection" or not observed.fitted.any():
            continue
        later = ~observed.fitted & (observed.dates > observed.dates[observed.fitted].max())
        dates, found = _quantiles_of(part, observed, later)
        values = _values_on(observed, dates)
        if len(values):
            yield _score(pool, part.scenario, observed, (dates, found, values))


def _score(pool: Pool, scenario: str, observed: Observations, forecast: tuple[Days, Floats, Floats]) -> Score:
    dates, found, values = forecast
    last = observed.dates[observed.fitted].max()
    horizons = (dates - last.astype("datetime64[D]")).astype(int) // DAYS_OF[observed.period]
    naive = persistence(observed.values[observed.fitted], horizons, LEVELS)
    return Score(
        location=pool.location,
        scenario=scenario,
        parameters=pool.parameters,
        count=len(values),
        wis=float(np.mean(weighted_interval_score(LEVELS, found, values))),
        baseline_wis=float(np.mean(weighted_interval_score(LEVELS, naive, values))),
        absolute_error=float(np.mean(np.abs(found[LEVELS.index(0.5)] - values))),
        covered={share: int(np.sum(is_covered(LEVELS, found, values, share))) for share in SHARES},
    )


def _quantiles_of(part: Trajectories, observed: Observations, wanted: Any) -> tuple[Days, Floats]:
    """Quantiles (levels, k) in the terms of the data, on those of the wanted dates that were simulated and counted."""
    known = observed.dates[wanted & np.isfinite(observed.values)].astype("datetime64[D]")
    dates, values = by_period(observed, part.dates, part.variables[observed.variable])
    kept = np.isin(dates, known)
    if not kept.any():
        return dates[:0], np.empty((len(LEVELS), 0))
    return dates[kept], weighted_quantiles(values[:, kept], part.weights, LEVELS)


def _values_on(observed: Observations, dates: Days) -> Floats:
    places = np.searchsorted(observed.dates.astype("datetime64[D]"), dates)
    return observed.values[places]
