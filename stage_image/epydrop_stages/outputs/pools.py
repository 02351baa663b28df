"""Chains that belong together, and their quantiles: pooling over chains and simulations, with weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from epydrop.errors import BadInput
from epydrop_stages.contract.results import Floats, Posterior, Result, Trajectories
from epydrop_stages.contract.suite import Finished, TaskLine

_NO_WEIGHT = 1e-12  # relative to the largest; below, 1 - w of the others cannot be told from 0


class _Joined(Mapping[str, Floats]):
    """The variables of several chains, those of one joined when it is asked for: no more than one is there twice."""

    def __init__(self, parts: Sequence[Trajectories]) -> None:
        self._parts = parts

    def __getitem__(self, name: str) -> Floats:
        return np.concatenate([part.variables[name] for part in self._parts])

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts[0].variables)

    def __len__(self) -> int:
        return len(self._parts[0].variables)


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

    @property
    def posteriors(self) -> list[Posterior]:
        """The posterior of each chain that was calibrated."""
        return [result.posterior for _, result in self.chains if result.posterior]

    def trajectories(self) -> list[Trajectories]:
        """Each kind and scenario, all chains in one; every chain counts the same, whatever its number of runs.

        Raises BadInput if the chains are of different kinds.
        """
        results = [result for _, result in self.chains]
        shapes = {tuple(_shape(part) for part in result.trajectories) for result in results}
        if len(shapes) > 1:
            raise BadInput(
                f"the results of {self.location} are of different kinds and cannot be pooled: "
                f"{' / '.join(sorted(map(str, shapes)))}; compute them again with the same version and configuration"
            )
        grouped = zip(*(result.trajectories for result in results), strict=True)
        return [_joined(parts) for parts in grouped]

    def posterior(self) -> Posterior | None:
        """The particles of all chains in one."""
        parts = self.posteriors
        if not parts:
            return None
        values = {name: np.concatenate([part.values[name] for part in parts]) for name in parts[0].values}
        distances = np.concatenate([part.distances for part in parts])
        return Posterior(values, pooled_weights([part.weights for part in parts]), distances)


def pool_of(results: Sequence[Finished]) -> Pool:
    """The results of one point."""
    key = results[0].task.key
    return Pool(key.location, key.parameters, [(finished.task, finished.result) for finished in results])


def pooled_weights(weights: Sequence[Floats]) -> Floats:
    """The weights of all chains, sum 1; each chain has the same share."""
    return np.concatenate([part / part.sum() for part in weights]) / len(weights)


def effective_sample_size(weights: Floats) -> float:
    """How many equally weighted draws are worth as much: (sum w)^2 / sum w^2 (Kish 1965, Survey Sampling)."""
    return float(np.sum(weights) ** 2 / np.sum(np.square(weights)))


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


def sum_of(part: Trajectories, variables: Sequence[str]) -> Floats:
    """The sum of several variables, shape (simulations, days)."""
    total = np.zeros((len(part.weights), len(part.dates)))
    for variable in variables:
        total += part.variables[variable]
    return total


def _joined(parts: Sequence[Trajectories]) -> Trajectories:
    if len(parts) == 1:
        return parts[0]
    earlier = {name: np.concatenate([(part.earlier or {})[name] for part in parts]) for name in parts[0].earlier or ()}
    weights = pooled_weights([part.weights for part in parts])
    return replace(parts[0], variables=_Joined(parts), weights=weights, earlier=earlier)


def _shape(part: Trajectories) -> tuple[str, str, int, tuple[str, ...]]:
    """What chains must have in common to be pooled: kind, scenario, days, variables."""
    return part.kind, part.scenario, len(part.dates), tuple(part.variables)
