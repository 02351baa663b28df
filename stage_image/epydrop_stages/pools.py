"""Chains that belong together, and their quantiles: pooling over chains and simulations, with weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from epydrop_stages.results import Floats, Posterior, Result, Trajectories
from epydrop_stages.suites import Finished, TaskLine

_NO_WEIGHT = 1e-12  # relative to the largest; below, 1 - w of the others cannot be told from 0


@dataclass(frozen=True)
class Pool:
    """The chains of one point: same location, same parameters, other seeds."""

    location: str
    parameters: Mapping[str, Any]
    chains: Sequence[tuple[TaskLine, Result]]

    @property
    def first(self) -> Result:
        """Any of the results, for what all have in common."""
        return self.chains[0][1]

    def trajectories(self, only: str = "") -> Iterator[Trajectories]:
        """Each kind of trajectories, all chains in one; every chain counts the same, whatever its number of runs.

        ``only`` names the one variable that is wanted, by default all are.
        """
        results = [result for _, result in self.chains]
        for position, first in enumerate(self.first.trajectories):
            same = [result.trajectories[position] for result in results]
            names = [only] if only else list(first.variables)
            variables = {name: np.concatenate([part.variables[name] for part in same]) for name in names}
            weights = _pooled([part.weights for part in same])
            yield Trajectories(first.kind, first.dates, variables, weights, first.scenario)

    def posterior(self) -> Posterior | None:
        """The particles of all chains in one."""
        parts = [result.posterior for _, result in self.chains if result.posterior]
        if not parts:
            return None
        values = {name: np.concatenate([part.values[name] for part in parts]) for name in parts[0].values}
        return Posterior(values, _pooled([p.weights for p in parts]), np.concatenate([p.distances for p in parts]))


def pool_of(results: Sequence[Finished]) -> Pool:
    """The results of one point."""
    key = results[0].task.key
    return Pool(key.location, key.parameters, [(finished.task, finished.result) for finished in results])


def _pooled(weights: Sequence[Floats]) -> Floats:
    """The weights of all chains, sum 1."""
    return np.concatenate([part / part.sum() for part in weights]) / len(weights)


def weighted_quantiles(values: Floats, weights: Floats, levels: Sequence[float]) -> Floats:
    """Quantiles over the first axis: shape (runs, days) becomes (levels, days).

    Interpolated between the sorted values x_k at S_(k-1) / (1 - w_k), where S are the cumulated weights; for equal
    weights that is (k - 1) / (n - 1), the definition of numpy and R (type 7). Runs without weight do not count.
    """
    kept = weights > _NO_WEIGHT * weights.max()
    values, weights = values[kept], weights[kept] / weights[kept].sum()
    if np.ptp(weights) == 0.0 or len(weights) == 1:
        return np.asarray(np.quantile(values, levels, axis=0))
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    sorted_weights = weights[order]
    places = (np.cumsum(sorted_weights, axis=0) - sorted_weights) / (1.0 - sorted_weights)
    columns = [np.interp(levels, places[:, day], ordered[:, day]) for day in range(values.shape[1])]
    return np.stack(columns, axis=1)
