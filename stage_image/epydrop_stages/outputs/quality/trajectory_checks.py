"""Checks of the simulated numbers of one point: finite, people conserved, quantiles in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from epydrop_stages.contract.results import Floats, Trajectories
from epydrop_stages.outputs.pooled_point import PooledPoint, sum_of
from epydrop_stages.outputs.quality.findings import Finding, Severity, grade

_PEOPLE, _SHARE = 0.5, 1e-6
"""How far the sum of the compartments may drift within a simulation: half a person, or a millionth of the population.

Models of whole people conserve them exactly. The millionth allows for the rounding of deterministic models in single
precision.
"""

_ROUNDED, _WRONG = 1e-3, 1e-2
"""How far the sum may be from the population: one person a compartment, or these shares of the population.

Initial values are often given as shares and truncated to whole people for each compartment and age group. A difference
of more than a thousandth deserves a look; more than a hundredth is not rounding.
"""

_CROSSED = 1e-9  # relative; interpolation between equal values can be off by this much


def finite(point: PooledPoint, parts: Sequence[Trajectories]) -> Finding:
    """Whether all trajectories, parameters, weights and distances are finite."""
    found = {
        f"{part.kind} {part.scenario} {name}".replace("  ", " "): _count_not_finite(part.variables[name])
        for part in parts
        for name in part.variables
    }
    for posterior in point.posteriors:
        for name, values in {**posterior.values, "weight": posterior.weights, "distance": posterior.distances}.items():
            # Added up over the chains, which share the names.
            found[name] = found.get(name, 0) + _count_not_finite(values)
    bad = {name: count for name, count in found.items() if count}
    if not bad:
        return Finding("finite", Severity.PASS, "all are finite", point.location, parameters=point.parameters)
    first, count = next(iter(bad)), sum(bad.values())
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    sentence = f"{count} values are infinite or missing, in {first}{more}"
    return Finding("finite", Severity.FAIL, sentence, point.location, "", point.parameters, {"values": count})


def population(point: PooledPoint, parts: Sequence[Trajectories], compartments: Sequence[str]) -> Iterator[Finding]:
    """Whether the compartments have the same sum on every day, and whether that is the population.

    Yields one finding for each kind and scenario; none if ``compartments``, which hold the population, are unknown.
    """
    size = point.first.population
    for part in parts:
        if not compartments or not set(compartments) <= set(part.variables):
            continue
        total = sum_of(part, compartments)
        drift = np.ptp(total, axis=1)
        difference = float(np.max(np.abs(total[:, 0] - size)))
        numbers = {"population": size, "largest_drift": float(np.max(drift)), "largest_difference": difference}
        drifting = int(np.sum(~(drift <= max(_PEOPLE, _SHARE * size))))  # "not below", so that nan counts too
        if drifting:
            severity = Severity.FAIL
            sentence = (
                f"in {drifting} of {len(part.weights)} simulations ({part.kind}) people appear or vanish: the sum of "
                f"the compartments changes by up to {np.max(drift):,.6g}"
            )
        else:
            rounded = max(len(compartments), _ROUNDED * size)
            severity = grade(difference, warn=rounded, fail=max(len(compartments), _WRONG * size))
            sentence = (
                f"the sum of the compartments ({part.kind}) differs from the population of {size:,.0f} by up to "
                f"{difference:,.6g} people"
            )
        yield Finding("population", severity, sentence, point.location, part.scenario, point.parameters, numbers)


def crossing_quantiles(point: PooledPoint, part: Trajectories, variable: str, quantiles: Floats) -> Finding | None:
    """A finding if quantiles of shape (levels, days), by ascending level, decrease on any day."""
    decreases = np.diff(quantiles, axis=0) < -_CROSSED * (1.0 + np.max(np.abs(quantiles), axis=0))
    days = int(np.sum(np.any(decreases, axis=0)))
    if not days:
        return None
    sentence = f"the quantiles of {variable} ({part.kind}) cross on {days} days"
    return Finding(
        "quantiles", Severity.FAIL, sentence, point.location, part.scenario, point.parameters, {"days": days}
    )


def _count_not_finite(values: Floats) -> int:
    return int(values.size - np.count_nonzero(np.isfinite(values)))
