"""Simulations compared with the observations of one point: the fit, and the score on what was held back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from epydrop_stages.contract.results import Days, Floats, Observations, Trajectories
from epydrop_stages.inputs.observations import DAYS_OF, by_period
from epydrop_stages.outputs.pooled_point import PooledPoint
from epydrop_stages.outputs.quality.findings import Finding, Severity, as_percent, plain_number
from epydrop_stages.outputs.quality.scoring_rules import LEVELS, is_covered, persistence, weighted_interval_score
from epydrop_stages.outputs.weighted import weighted_quantiles

SHARES = (0.5, 0.8, 0.95)
"""The central prediction intervals whose coverage is reported."""

FITS = 0.8
"""The share of the fitted observations in the 95 % band below which the fit is questionable."""


@dataclass(frozen=True)
class Score:
    """The scores of one forecast: means over its ``count`` held-back observations.

    ``wis``, ``baseline_wis`` and ``absolute_error`` (of the median) have the unit of the data. ``covered``: interval ->
    number of observations in it.
    """

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
        """The WIS divided by that of the naive forecast: below 1 is better. nan if the naive forecast is exact."""
        return self.wis / self.baseline_wis if self.baseline_wis > 0 else float("nan")

    def to_document(self) -> dict[str, Any]:
        """The entry in quality.json."""
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


def fit_finding(point: PooledPoint, parts: Sequence[Trajectories]) -> Finding | None:
    """The share of the fitted observations in the 95 % band of the calibrated simulations; None without either."""
    observed = point.first.observed
    part = next((each for each in parts if observed and each.kind == "calibration"), None)
    if observed is None or part is None:
        return None
    dates, quantiles = _quantiles_on(observed, part, observed.fitted)
    values = _values_on(observed, dates)
    if not len(values):
        return None
    share = float(np.mean(is_covered(LEVELS, quantiles, values, 0.95)))
    severity = Severity.WARN if share < FITS else Severity.PASS
    sentence = f"{as_percent(share)} of {len(values)} fitted observations are in the 95\u00a0% band of the model"
    numbers = {"share": share, "observations": len(values)}
    return Finding("fit", severity, sentence, point.location, "", point.parameters, numbers)


def scores_of(point: PooledPoint, parts: Iterable[Trajectories]) -> Iterator[Score]:
    """The score of each projection on the held-back observations after the last fitted one, if there are any."""
    observed = point.first.observed
    for part in parts:
        if observed is None or part.kind != "projection" or not observed.fitted.any():
            continue
        # Only later ones: a gap within the fitting window was not forecast.
        later = ~observed.fitted & (observed.dates > observed.dates[observed.fitted].max())
        dates, quantiles = _quantiles_on(observed, part, later)
        if len(dates):
            yield _score(point, part.scenario, observed, dates, quantiles)


def _score(point: PooledPoint, scenario: str, observed: Observations, dates: Days, quantiles: Floats) -> Score:
    """``quantiles`` has the shape (levels, dates)."""
    values = _values_on(observed, dates)
    last = observed.dates[observed.fitted].max()
    horizons = (dates - last.astype("datetime64[D]")).astype(int) // DAYS_OF[observed.period]
    naive = persistence(observed.values[observed.fitted], horizons, LEVELS)
    return Score(
        location=point.location,
        scenario=scenario,
        parameters=point.parameters,
        count=len(values),
        wis=float(np.mean(weighted_interval_score(LEVELS, quantiles, values))),
        baseline_wis=float(np.mean(weighted_interval_score(LEVELS, naive, values))),
        absolute_error=float(np.mean(np.abs(quantiles[LEVELS.index(0.5)] - values))),
        covered={share: int(np.sum(is_covered(LEVELS, quantiles, values, share))) for share in SHARES},
    )


def _quantiles_on(observed: Observations, part: Trajectories, wanted: npt.NDArray[np.bool_]) -> tuple[Days, Floats]:
    """Dates (k,) and quantiles (levels, k) in the periods of the data.

    The dates are those of the ``wanted`` observations that have a value and were simulated.
    """
    known = observed.dates[wanted & np.isfinite(observed.values)].astype("datetime64[D]")
    dates, values = by_period(observed, part.dates, part.variables[observed.variable])
    kept = np.isin(dates, known)
    if not kept.any():  # quantiles of nothing would be an error
        return dates[:0], np.empty((len(LEVELS), 0))
    return dates[kept], weighted_quantiles(values[:, kept], part.weights, LEVELS)


def _values_on(observed: Observations, dates: Days) -> Floats:
    return observed.values[np.searchsorted(observed.dates.astype("datetime64[D]"), dates)]
