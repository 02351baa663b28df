"""Single numbers with their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

from epydrop_stages.contract.results import Floats
from epydrop_stages.outputs.pools import weighted_quantiles

_LEVELS = (0.5, 0.025, 0.25, 0.75, 0.975)


@dataclass(frozen=True)
class Interval:
    """A median, the bounds of the middle half, and of the middle 95 %."""

    median: float
    low: float
    lower: float
    upper: float
    high: float


def interval(values: Floats, weights: Floats) -> Interval:
    """Of weighted draws of shape (draws,)."""
    return Interval(*weighted_quantiles(values[:, None], weights, _LEVELS)[:, 0].tolist())
