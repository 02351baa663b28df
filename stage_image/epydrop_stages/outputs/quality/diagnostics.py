"""What weighted particles tell of a calibration: pure functions of arrays, each with its source.

The chains of a point are independent calibrations of the same model to the same data with other seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from epydrop_stages.contract.description import Prior
from epydrop_stages.contract.results import Floats
from epydrop_stages.outputs.pools import effective_sample_size

_OUTER = 0.05  # the share of the prior next to a bound that counts as "at the bound"


@dataclass(frozen=True)
class Draws:
    """The particles of one chain for one parameter: values and weights of shape (particles,), weights with sum 1."""

    values: Floats
    weights: Floats


def weighted_variance(values: Floats, weights: Floats) -> float:
    """The variance of weighted draws, without bias for reliability weights: sum w (x - m)^2 / (1 - sum w^2)."""
    weights = weights / weights.sum()
    rest = 1.0 - float(np.sum(weights**2))
    if rest <= 0.0:
        return 0.0
    centre = float(np.sum(weights * values))
    return float(np.sum(weights * (values - centre) ** 2)) / rest


def contraction(values: Floats, weights: Floats, prior: Prior) -> float:
    """How much the data narrowed a prior down: 1 - var(posterior) / var(prior).

    1 when the data decide everything, 0 when the posterior is as wide as the prior (Schad, Betancourt and Vasishth
    2021, Toward a principled Bayesian workflow, Psychological Methods 26:103). nan when the prior has no variance.
    """
    before = float(prior.var())
    if not np.isfinite(before) or before <= 0.0:
        return float("nan")
    return 1.0 - weighted_variance(values, weights) / before


def mass_at_bounds(values: Floats, weights: Floats, prior: Prior) -> tuple[float, float]:
    """The shares of the posterior in the lowest and in the highest 5 % of the prior.

    nan on a side where the prior has no bound, or is not dense at it: there nothing is cut off. Posteriors that know
    nothing have 0.05 on each side.
    """
    low, high = prior.support()
    below = float(np.sum(weights[values <= prior.ppf(_OUTER)])) if _cuts(prior, low) else float("nan")
    above = float(np.sum(weights[values >= prior.ppf(1.0 - _OUTER)])) if _cuts(prior, high) else float("nan")
    return below, above


def _cuts(prior: Prior, bound: float) -> bool:
    return bool(np.isfinite(bound)) and float(prior.pdf(bound)) > 0.0


def rank_normalised_rhat(chains: Sequence[Draws]) -> float:
    """R-hat over independent chains of weighted draws, rank-normalised; 1 when they agree.

    The larger of the R-hats of location and of scale, as Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021,
    Rank-normalization, folding, and localization, Bayesian Analysis 16:667) define them, with two changes. Chains are
    not split: each is a population of particles, without an order in which it could drift. Draws have weights: ranks
    come from the weighted distribution of all chains together, moments are weighted, and the number of draws is
    Kish's effective one. nan with fewer than two chains, or when all draws are the same.
    """
    if len(chains) < 2:
        return float("nan")
    values = np.concatenate([chain.values for chain in chains])
    weights = np.concatenate([chain.weights / chain.weights.sum() for chain in chains]) / len(chains)
    order = np.argsort(values, kind="stable")
    centre = values[order][np.searchsorted(np.cumsum(weights[order]), 0.5)]
    return max(_rhat(values, weights, chains), _rhat(np.abs(values - centre), weights, chains))


def _rhat(values: Floats, weights: Floats, chains: Sequence[Draws]) -> float:
    """R-hat of the normal scores of these values, which are those of all chains in turn."""
    if np.ptp(values) == 0.0:
        return float("nan")
    scores = np.split(_normal_scores(values, weights), np.cumsum([len(chain.values) for chain in chains])[:-1])
    own = [chain.weights / chain.weights.sum() for chain in chains]
    within = float(np.mean([weighted_variance(z, w) for z, w in zip(scores, own, strict=True)]))
    between = float(np.var([np.sum(w * z) for z, w in zip(scores, own, strict=True)], ddof=1))
    draws = float(np.mean([effective_sample_size(w) for w in own]))
    if within <= 0.0:
        return float("inf") if between > 0.0 else float("nan")
    return float(np.sqrt((draws - 1.0) / draws + between / within))


def _normal_scores(values: Floats, weights: Floats) -> Floats:
    """Normal quantiles of the weighted mid-ranks; for n equal weights rank r stands at (r - 1/2) / n, ties share."""
    unique, place = np.unique(values, return_inverse=True)
    mass = np.bincount(place, weights=weights, minlength=len(unique))
    middle = (np.cumsum(mass) - mass / 2.0) / mass.sum()
    return np.asarray(stats.norm.ppf(np.clip(middle, 1e-9, 1.0 - 1e-9)))[place]
