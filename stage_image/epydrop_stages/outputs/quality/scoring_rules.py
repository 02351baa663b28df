"""Scores of probabilistic forecasts: pure functions of quantiles and observations, each with its formula and source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from epydrop_stages.contract.results import Floats

LEVELS = (0.01, 0.025, *(step / 20 for step in range(1, 20)), 0.975, 0.99)
"""The 23 levels that the US forecast hubs score: the median and the bounds of 11 central intervals."""


def interval_score(low: Floats, high: Floats, observed: Floats, alpha: float) -> Floats:
    """The interval score of a central (1 - alpha) interval; all arrays of shape (k,). Lower is better.

    IS = (u - l) + 2/alpha (l - y) [y < l] + 2/alpha (y - u) [y > u]  (Gneiting and Raftery 2007, Strictly proper
    scoring rules, prediction, and estimation, JASA 102:359, equation 43).
    """
    outside = np.maximum(low - observed, 0.0) + np.maximum(observed - high, 0.0)
    return np.asarray((high - low) + 2.0 / alpha * outside)


def weighted_interval_score(levels: Sequence[float], quantiles: Floats, observed: Floats) -> Floats:
    """The weighted interval score (WIS) of each observation, shape (k,), from quantiles of shape (levels, k).

    WIS = 1 / (K + 1/2) * (w_0 |y - m| + sum over the K intervals of w_k IS_k), w_0 = 1/2, w_k = alpha_k / 2
    (Bracher, Ray, Gneiting and Reich 2021, Evaluating epidemic forecasts in an interval format, PLOS Computational
    Biology 17:e1008618, equation 1). It has the unit of the observations; lower is better. Without uncertainty it is
    the absolute error. Raises ValueError unless the levels are the median and pairs symmetric around it.
    """
    median, intervals = _central_intervals(levels)
    total = 0.5 * np.abs(observed - quantiles[median])
    for low, high, alpha in intervals:
        total = total + alpha / 2.0 * interval_score(quantiles[low], quantiles[high], observed, alpha)
    return np.asarray(total / (len(intervals) + 0.5))


def is_covered(levels: Sequence[float], quantiles: Floats, observed: Floats, share: float) -> npt.NDArray[np.bool_]:
    """Whether each observation (k,) is in the central interval of probability ``share``, bounds included.

    ``quantiles`` has the shape (levels, k). Raises ValueError if the interval's bounds are not among the levels.
    """
    low, high = (_position(levels, level) for level in ((1.0 - share) / 2.0, (1.0 + share) / 2.0))
    return np.asarray((observed >= quantiles[low]) & (observed <= quantiles[high]))


def persistence(history: Floats, horizons: npt.NDArray[np.int_], levels: Sequence[float]) -> Floats:
    """The naive forecast: the last observation, with an uncertainty from the past changes.

    ``history`` (k,) by time, ``horizons`` (h,) in its periods; returns quantiles of shape (levels, h). Each change from
    one period to the next counts with both signs, so the median stays at the last value. Independent changes add up to
    a spread that grows with the square root of the horizon. Values below 0 become 0. This is the idea of the US hubs'
    baseline (Cramer et al. 2022, Evaluation of individual and ensemble probabilistic forecasts of COVID-19 mortality,
    PNAS 119:e2113561119, supplement) without its Monte Carlo sampling. A single observation gives no spread.
    """
    changes = np.diff(history)
    # Both signs: a trend in the past must not become a trend of the naive forecast.
    both = np.concatenate([changes, -changes]) if len(changes) else np.zeros(1)
    spread = np.quantile(both, levels)[:, np.newaxis] * np.sqrt(horizons)
    return np.asarray(np.maximum(history[-1] + spread, 0.0))


def _central_intervals(levels: Sequence[float]) -> tuple[int, list[tuple[int, int, float]]]:
    """The position of the median, and of each lower and upper level with their alpha."""
    pairs = [
        (place, _position(levels, 1.0 - level), 2.0 * level) for place, level in enumerate(levels) if level < 0.5 - 1e-9
    ]
    if 2 * len(pairs) + 1 != len(levels):
        raise ValueError(f"the levels must be symmetric around 0.5, got {list(levels)}")
    return _position(levels, 0.5), pairs


def _position(levels: Sequence[float], level: float) -> int:
    # Not ==: 1 - 0.9 is not 0.1 in floating point.
    near = np.flatnonzero(np.isclose(levels, level, rtol=0.0, atol=1e-9))
    if not len(near):
        raise ValueError(f"there is no quantile of level {level:g} among {list(levels)}")
    return int(near[0])
