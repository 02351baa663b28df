"""Statistics of weighted draws: quantiles, effective sample size, variance. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from epydrop_stages.contract.results import Floats

_NEGLIGIBLE = 1e-12  # relative to the largest weight; below that, 1 - w of the others rounds to 1


def pooled_weights(weights: Sequence[Floats]) -> Floats:
    """The weights of all chains in one array with sum 1. Every chain gets the same share, whatever its length."""
    return np.concatenate([chain / chain.sum() for chain in weights]) / len(weights)


def effective_sample_size(weights: Floats) -> float:
    """The number of equally weighted draws that are worth as much: (sum w)^2 / sum w^2 (Kish 1965, Survey Sampling)."""
    return float(np.sum(weights) ** 2 / np.sum(np.square(weights)))


def weighted_quantiles(values: Floats, weights: Floats, levels: Sequence[float]) -> Floats:
    """Quantiles over the first axis: values of shape (draws, days) become quantiles of shape (levels, days).

    Interpolated linearly between the sorted values x_k, placed at S_(k-1) / (1 - w_k), where S is the cumulative
    weight. For equal weights that is (k - 1) / (n - 1), the default of numpy and R (type 7; Hyndman and Fan 1996).
    Draws of negligible weight are ignored.
    """
    kept = weights > _NEGLIGIBLE * weights.max()
    values, weights = values[kept], weights[kept] / weights[kept].sum()
    if np.ptp(weights) == 0.0 or len(weights) == 1:  # numpy sorts all days at once, many times faster than one by one
        return np.asarray(np.quantile(values, levels, axis=0))
    # Stable: draws with equal values keep their order, so their weights add up the same way on every machine.
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    sorted_weights = weights[order]
    positions = (np.cumsum(sorted_weights, axis=0) - sorted_weights) / (1.0 - sorted_weights)
    columns = [np.interp(levels, positions[:, day], ordered[:, day]) for day in range(values.shape[1])]
    return np.stack(columns, axis=1)


def weighted_variance(values: Floats, weights: Floats) -> float:
    """The unbiased variance for reliability weights: sum w (x - m)^2 / (1 - sum w^2), with sum w = 1.

    0 when a single draw has all the weight. ``values`` and ``weights`` have the shape (draws,).
    """
    weights = weights / weights.sum()
    denominator = 1.0 - float(np.sum(weights**2))
    if denominator <= 0.0:  # rounding can make it slightly negative
        return 0.0
    mean = float(np.sum(weights * values))
    return float(np.sum(weights * (values - mean) ** 2)) / denominator
