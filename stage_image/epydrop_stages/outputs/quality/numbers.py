"""Checks of the numbers themselves: finite, conserved, in order. Each takes one point, all chains and scenarios."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from epydrop_stages.contract.results import Floats, Trajectories
from epydrop_stages.outputs.pools import Pool, sum_of
from epydrop_stages.outputs.quality.checks import Finding, Severity, grade

_PEOPLE, _SHARE = 0.5, 1e-6
"""How far the sum of compartments may drift within a simulation: half a person or a millionth of the population.

Models that draw whole people conserve them exactly; the millionth is for the rounding of deterministic models in
single precision.
"""

_ROUNDED, _SET_UP_WRONGLY = 1e-3, 1e-2
"""How far the sum may be from the population: one person a compartment, or these shares of the population.

Starting values are often given as shares and cut to whole people, compartment by compartment and age by age. More
than a thousandth is worth a look; more than a hundredth is no rounding.
"""

_CROSSED = 1e-9  # relative; what interpolation between equal values may be off by


def finite(pool: Pool, parts: Sequence[Trajectories]) -> Finding:
    """No value of any trajectory, parameter, weight or distance is infinite or missing."""
    found = {
        f"{part.kind} {part.scenario} {name}".replace("  ", " "): _not_finite(part.variables[name])
        for part in parts
        for name in part.variables
    }
    for posterior in pool.posteriors:
        for name, values in {**posterior.values, "weight": posterior.weights, "distance": posterior.distances}.items():
            found[name] = found.get(name, 0) + _not_finite(values)
    bad = {name: count for name, count in found.items() if count}
    if not bad:
        return Finding("finite", Severity.PASS, "all are finite", pool.location, parameters=pool.parameters)
    first = next(iter(bad))
    more = f" and in {len(bad) - 1} more" if len(bad) > 1 else ""
    sentence = f"{sum(bad.values())} values are infinite or missing, in {first}{more}"
    return Finding("finite", Severity.FAIL, sentence, pool.location, "", pool.parameters, {"values": sum(bad.values())})


def population(pool: Pool, parts: Sequence[Trajectories], compartments: Sequence[str]) -> Iterator[Finding]:
    """The compartments add up to the same on each day, and to the population; nothing when they are not known."""
    size = pool.first.population
    for part in parts:
        if not compartments or not set(compartments) <= set(part.variables):
            continue
        total = sum_of(part, compartments)
        drift = np.ptp(total, axis=1)
        off = float(np.max(np.abs(total[:, 0] - size)))
        numbers = {"population": size, "largest_drift": float(np.max(drift)), "largest_difference": off}
        lost = int(np.sum(~(drift <= max(_PEOPLE, _SHARE * size))))
        if lost:
            severity = Severity.FAIL
            sentence = (
                f"in {lost} of {len(part.weights)} simulations ({part.kind}) people appear or vanish: the sum of the "
                f"compartments changes by up to {np.max(drift):,.6g}"
            )
        else:
            rounded = max(len(compartments), _ROUNDED * size)
            severity = grade(off, warn=rounded, fail=max(len(compartments), _SET_UP_WRONGLY * size))
            sentence = f"the compartments ({part.kind}) add up to the population of {size:,.0f} up to {off:,.6g} people"
        yield Finding("population", severity, sentence, pool.location, part.scenario, pool.parameters, numbers)


def ascending(pool: Pool, part: Trajectories, variable: str, found: Floats) -> Finding | None:
    """Something to tell if quantiles of the shape (levels, days), by ascending level, cross on any day."""
    falls = np.diff(found, axis=0) < -_CROSSED * (1.0 + np.max(np.abs(found), axis=0))
    crossed = int(np.sum(np.any(falls, axis=0)))
    if not crossed:
        return None
    sentence = f"the quantiles of {variable} ({part.kind}) cross on {crossed} days"
    return Finding(
        "quantiles", Severity.FAIL, sentence, pool.location, part.scenario, pool.parameters, {"days": crossed}
    )


def _not_finite(values: Floats) -> int:
    return int(values.size - np.count_nonzero(np.isfinite(values)))
