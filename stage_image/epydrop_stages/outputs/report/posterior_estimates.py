"""One parameter at a time: its posterior, pooled and by chain, beside its prior."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from epydrop_stages.contract.description import Description, Prior
from epydrop_stages.contract.results import Floats, Posterior
from epydrop_stages.outputs.pooled_point import PooledPoint
from epydrop_stages.outputs.weighted import weighted_quantiles

_LEVELS = (0.5, 0.025, 0.25, 0.75, 0.975)
_PLACES = 200  # at which the density of a prior is drawn


@dataclass(frozen=True)
class Interval:
    """A median, the bounds of the central 95 % (``low``, ``high``) and of the central 50 % (``lower``, ``upper``)."""

    median: float
    low: float
    lower: float
    upper: float
    high: float


def interval(values: Floats, weights: Floats) -> Interval:
    """The interval of weighted draws, both of shape (draws,)."""
    return Interval(*weighted_quantiles(values[:, None], weights, _LEVELS)[:, 0].tolist())


@dataclass(frozen=True)
class Estimate:
    """The estimate of one parameter, in numbers.

    ``prior``: the bounds of the central 95 % of its prior; None for a quantity that is derived from others.
    """

    name: str
    pooled: Interval
    chains: Sequence[Interval]
    prior: tuple[float, float] | None = None


@dataclass(frozen=True)
class Marginal:
    """What the figure of one parameter shows.

    ``values`` and ``weights``: shape (particles,). ``density``: shape (2, places), values and the prior's density
    there.
    """

    estimate: Estimate
    values: Floats
    weights: Floats
    density: Floats | None = None


def marginals_of(point: PooledPoint, posterior: Posterior, description: Description) -> Iterator[Marginal]:
    """Every calibrated parameter, then every quantity that is derived from them, such as R0."""
    # Where one chain ends and the next begins among the pooled particles.
    ends = np.cumsum([len(chain.weights) for chain in point.posteriors])[:-1]
    for name, values in posterior.values.items():
        yield _marginal(name, values, posterior, ends, description.priors.get(name))
    for name, derived in description.derived.items():
        if np.ndim(derived):  # a scalar is derived from fixed parameters alone: there is nothing to estimate
            yield _marginal(name, np.asarray(derived), posterior, ends, None)


def _marginal(
    name: str, values: Floats, posterior: Posterior, ends: Sequence[int] | Floats, prior: Prior | None
) -> Marginal:
    weights = posterior.weights
    chains = [interval(*chain) for chain in zip(np.split(values, ends), np.split(weights, ends), strict=True)]
    bounds = (float(prior.ppf(0.025)), float(prior.ppf(0.975))) if prior else None
    estimate = Estimate(name, interval(values, weights), chains, bounds)
    return Marginal(estimate, values, weights, _density(values, prior) if prior else None)


def _density(values: Floats, prior: Prior) -> Floats:
    """The density of the prior: over its support if bounded, else over its central 99 % and all of the values."""
    low, high = prior.support()
    first = low if np.isfinite(low) else min(values.min(), prior.ppf(0.005))
    last = high if np.isfinite(high) else max(values.max(), prior.ppf(0.995))
    places = np.linspace(float(first), float(last), _PLACES)
    return np.vstack([places, prior.pdf(places)])
