"""The chains of one point, pooled: one location, one set of parameters, several seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from epydrop.errors import BadInput
from epydrop_stages.contract.results import Floats, Posterior, Result, Trajectories
from epydrop_stages.contract.suite import Finished, TaskLine
from epydrop_stages.outputs.weighted import pooled_weights


class _ConcatenatedVariables(Mapping[str, Floats]):
    """The variables of several chains, each concatenated on access, so that at most one exists twice in memory."""

    def __init__(self, parts: Sequence[Trajectories]) -> None:
        self._parts = parts

    def __getitem__(self, name: str) -> Floats:
        return np.concatenate([part.variables[name] for part in self._parts])

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts[0].variables)

    def __len__(self) -> int:
        return len(self._parts[0].variables)


@dataclass(frozen=True)
class PooledPoint:
    """All chains of one point. ``chains`` pairs each task with its result, in the order of the tasks."""

    location: str
    parameters: Mapping[str, Any]
    chains: Sequence[tuple[TaskLine, Result]]

    @property
    def index(self) -> int:
        """The index of the first task, which identifies the point within the run."""
        return self.chains[0][0].index

    @property
    def first(self) -> Result:
        """The first result, for what all chains have in common: population, contacts, observations."""
        return self.chains[0][1]

    @property
    def posteriors(self) -> list[Posterior]:
        """The posterior of each calibrated chain."""
        return [result.posterior for _, result in self.chains if result.posterior]

    def trajectories(self) -> list[Trajectories]:
        """One entry for each kind and scenario, with the simulations of all chains.

        Every chain has the same weight, whatever its number of simulations. Raises BadInput if the chains differ in
        kinds, scenarios, days or variables.
        """
        results = [result for _, result in self.chains]
        # Results of two versions of a model may lie side by side after a retry; their mean would mean nothing.
        signatures = {tuple(_signature(part) for part in result.trajectories) for result in results}
        if len(signatures) > 1:
            raise BadInput(
                f"the results of {self.location} are of different kinds and cannot be pooled: "
                f"{' / '.join(sorted(map(str, signatures)))}; compute them again with one version and configuration"
            )
        grouped = zip(*(result.trajectories for result in results), strict=True)
        return [_concatenated(parts) for parts in grouped]

    def posterior(self) -> Posterior | None:
        """The particles of all chains, every chain with the same weight; None without a calibration."""
        parts = self.posteriors
        if not parts:
            return None
        values = {name: np.concatenate([part.values[name] for part in parts]) for name in parts[0].values}
        distances = np.concatenate([part.distances for part in parts])
        return Posterior(values, pooled_weights([part.weights for part in parts]), distances)


def pooled_point(results: Sequence[Finished]) -> PooledPoint:
    """Pools the results of one point; all of them have the same location and parameters."""
    key = results[0].task.key
    return PooledPoint(key.location, key.parameters, [(finished.task, finished.result) for finished in results])


def sum_of(part: Trajectories, variables: Sequence[str]) -> Floats:
    """The sum of several variables, shape (simulations, days)."""
    total = np.zeros((len(part.weights), len(part.dates)))
    for variable in variables:
        total += part.variables[variable]
    return total


def _concatenated(parts: Sequence[Trajectories]) -> Trajectories:
    if len(parts) == 1:  # without a copy: a single chain may be hundreds of megabytes
        return parts[0]
    earlier = {name: np.concatenate([(part.earlier or {})[name] for part in parts]) for name in parts[0].earlier or ()}
    weights = pooled_weights([part.weights for part in parts])
    return replace(parts[0], variables=_ConcatenatedVariables(parts), weights=weights, earlier=earlier)


def _signature(part: Trajectories) -> tuple[str, str, int, tuple[str, ...]]:
    """What chains must have in common to be pooled: kind, scenario, number of days, variables."""
    return part.kind, part.scenario, len(part.dates), tuple(part.variables)
