"""Diagnostics of weighted particles: pure functions of arrays, each with its source.

The chains of a point are independent calibrations of the same model to the same data, with different seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from epydrop_stages.contract.description import Prior
from epydrop_stages.contract.results import Floats
from epydrop_stages.outputs.weighted import effective_sample_size, pooled_weights, weighted_variance

_OUTER = 0.05  # the share of the prior next to a bound that counts as "at the bound"


@dataclass(frozen=True)
class Draws:
    """The particles of one chain for one parameter: values and weights of shape (particles,), weights with sum 1."""

    values: Floats
    weights: Floats


def contraction(values: Floats, weights: Floats, prior: Prior) -> float:
    """Posterior contraction: 1 - var(posterior) / var(prior). ``values`` and ``weights``: shape (particles,).

    1 if the data determine the parameter, 0 if the posterior is as wide as the prior (Schad, Betancourt and Vasishth
    2021, Toward a principled Bayesian workflow, Psychological Methods 26:103). nan if the prior has no finite variance.
    """
    before = float(prior.var())
    if not np.isfinite(before) or before <= 0.0:
        return float("nan")
    return 1.0 - weighted_variance(values, weights) / before


def shares_at_bounds(values: Floats, weights: Floats, prior: Prior) -> tuple[float, float]:
    """The shares of the posterior in the lowest and in the highest 5 % of the prior.

    A posterior that equals the prior has 0.05 on each side. nan on a side without a bound, or where the density of the
    prior vanishes at the bound: there the prior truncates nothing.
    """
    low, high = prior.support()
    below = float(np.sum(weights[values <= prior.ppf(_OUTER)])) if _truncates(prior, low) else float("nan")
    above = float(np.sum(weights[values >= prior.ppf(1.0 - _OUTER)])) if _truncates(prior, high) else float("nan")
    return below, above


def _truncates(prior: Prior, bound: float) -> bool:
    return bool(np.isfinite(bound)) and float(prior.pdf(bound)) > 0.0


def rank_normalised_rhat(chains: Sequence[Draws]) -> float:
    """Rank-normalised R-hat over independent chains of weighted draws; 1 if they agree.

    The larger of the R-hats of location and of scale, as Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021,
    Rank-normalization, folding, and localization, Bayesian Analysis 16:667) define them, with two changes. Chains are
    not split: the particles of a population have no order in which they could drift. Draws have weights: ranks come
    from the weighted distribution of all chains together, moments are weighted, and the number of draws is Kish's
    effective sample size. nan with fewer than two chains, or if all draws are equal.
    """
    if len(chains) < 2:
        return float("nan")
    values = np.concatenate([chain.values for chain in chains])
    weights = pooled_weights([chain.weights for chain in chains])
    order = np.argsort(values, kind="stable")
    # Folding around the median makes chains of different scale differ in location.
    median = values[order][np.searchsorted(np.cumsum(weights[order]), 0.5)]
    return max(_rhat(values, weights, chains), _rhat(np.abs(values - median), weights, chains))


def _rhat(values: Floats, weights: Floats, chains: Sequence[Draws]) -> float:
    """R-hat of the normal scores of ``values``, which are those of all chains, one after the other."""
    if np.ptp(values) == 0.0:
        return float("nan")
    scores = np.split(_normal_scores(values, weights), np.cumsum([len(chain.values) for chain in chains])[:-1])
    own = [chain.weights / chain.weights.sum() for chain in chains]
    within = float(np.mean([weighted_variance(z, w) for z, w in zip(scores, own, strict=True)]))
    between = float(np.var([np.sum(w * z) for z, w in zip(scores, own, strict=True)], ddof=1))
    # Gelman and Rubin's ((n - 1) / n * W + B / n) / W, with B / n the variance of the chain means.
    draws = float(np.mean([effective_sample_size(w) for w in own]))
    if within <= 0.0:
        return float("inf") if between > 0.0 else float("nan")
    return float(np.sqrt((draws - 1.0) / draws + between / within))


def _normal_scores(values: Floats, weights: Floats) -> Floats:
    """Normal quantiles of the weighted mid-ranks. For n equal weights rank r is at (r - 1/2) / n; ties share a rank."""
    unique, place = np.unique(values, return_inverse=True)
    mass = np.bincount(place, weights=weights, minlength=len(unique))
    middle = (np.cumsum(mass) - mass / 2.0) / mass.sum()
    # Clipped because a draw without weight would be at 0 or 1, where the normal quantile is infinite.
    return np.asarray(stats.norm.ppf(np.clip(middle, 1e-9, 1.0 - 1e-9)))[place]
