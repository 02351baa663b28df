"""One parameter at a time: what its posterior says, over all chains and in each, beside its prior."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from epydrop_stages.contract.description import Description, Prior
from epydrop_stages.contract.results import Floats, Posterior
from epydrop_stages.outputs.pools import Pool
from epydrop_stages.outputs.report.intervals import Interval, interval

_PLACES = 200


@dataclass(frozen=True)
class Estimate:
    """What is kept of a parameter. ``prior`` are the bounds of its middle 95 %, None if it follows from others."""

    name: str
    pooled: Interval
    chains: Sequence[Interval]
    prior: tuple[float, float] | None = None


@dataclass(frozen=True)
class Marginal:
    """What is drawn of a parameter. ``density`` has the shape (2, places): where, and how dense the prior is there."""

    estimate: Estimate
    values: Floats
    weights: Floats
    density: Floats | None = None


def marginals_of(pool: Pool, posterior: Posterior, description: Description) -> Iterator[Marginal]:
    """Every calibrated parameter, and what follows from them together."""
    ends = np.cumsum([len(chain.weights) for chain in pool.posteriors])[:-1]
    for name, values in posterior.values.items():
        yield _marginal(name, values, posterior, ends, description.priors.get(name))
    for name, derived in description.derived.items():
        if np.ndim(derived):  # else all that it follows from is fixed
            yield _marginal(name, np.asarray(derived), posterior, ends, None)


def _marginal(
    name: str, values: Floats, posterior: Posterior, ends: Sequence[int] | Floats, prior: Prior | None
) -> Marginal:
    weights = posterior.weights
    chains = [interval(*chain) for chain in zip(np.split(values, ends), np.split(weights, ends), strict=True)]
    bounds = (float(prior.ppf(0.025)), float(prior.ppf(0.975))) if prior else None
    return Marginal(
        Estimate(name, interval(values, weights), chains, bounds),
        values,
        weights,
        _density(values, prior) if prior else None,
    )


def _density(values: Floats, prior: Prior) -> Floats:
    """The prior where it is worth looking: all of it, if it is bounded, else what holds most of it and the values."""
    low, high = prior.support()
    first = low if np.isfinite(low) else min(values.min(), prior.ppf(0.005))
    last = high if np.isfinite(high) else max(values.max(), prior.ppf(0.995))
    places = np.linspace(float(first), float(last), _PLACES)
    return np.vstack([places, prior.pdf(places)])
