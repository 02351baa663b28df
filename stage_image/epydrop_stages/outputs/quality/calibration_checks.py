"""Checks of one calibrated point: enough particles, chains that agree, and what the data changed in the priors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from epydrop_stages.contract.description import Prior
from epydrop_stages.contract.results import Posterior
from epydrop_stages.outputs.pooled_point import PooledPoint
from epydrop_stages.outputs.quality.findings import Finding, Severity, as_percent, grade, plain_number
from epydrop_stages.outputs.quality.posterior_diagnostics import (
    Draws,
    contraction,
    rank_normalised_rhat,
    shares_at_bounds,
)
from epydrop_stages.outputs.weighted import effective_sample_size

ENOUGH, TOO_FEW = 100.0, 10.0
"""Effective particles. Of 100, two or three lie beyond each end of a 95 % interval; of 10, none does."""

AGREE, DISAGREE = 1.05, 1.2
"""R-hat. At 1.05 the spread between chains adds a tenth to the variance, at 1.2 almost half.

The usual 1.01 for Markov chains assumes 400 effective draws, which ABC rarely reaches.
"""

AS_CLOSE = 1.5
"""The largest accepted distance of the worst chain, divided by that of the best."""

CONCENTRATED = 0.25
"""The share of a posterior in the outermost 5 % of its prior: five times the share of the prior itself."""

LEARNED = 0.1
"""Contraction. Below, the posterior has more than nine tenths of the prior's variance."""


@dataclass(frozen=True)
class Calibration:
    """The diagnostics of one calibrated point. Those of parameters are by name, and nan where they are undefined."""

    location: str
    parameters: Mapping[str, Any]
    chain_ess: Sequence[float]
    ess: float
    distances: Sequence[float]
    rhat: Mapping[str, float]
    contraction: Mapping[str, float]
    at_bounds: Mapping[str, tuple[float, float]]

    def to_document(self) -> dict[str, Any]:
        """The entry in quality.json."""
        return {
            "location": self.location,
            "parameters": dict(self.parameters),
            "effective_sample_size": plain_number(self.ess),
            "effective_sample_size_by_chain": [plain_number(value) for value in self.chain_ess],
            "largest_distance_by_chain": [plain_number(value) for value in self.distances],
            "posteriors": {
                name: {
                    "rhat": plain_number(self.rhat[name]),
                    "contraction": plain_number(self.contraction[name]),
                    "share_at_bounds": [plain_number(share) for share in self.at_bounds[name]],
                }
                for name in self.rhat
            },
        }


def diagnose(point: PooledPoint, posterior: Posterior, priors: Mapping[str, Prior]) -> Calibration:
    """The diagnostics of a point. ``posterior``: the one pooled over its chains."""
    chains = point.posteriors
    undefined = (float("nan"), float("nan"))
    # A parameter without a known prior can only be compared between chains.
    known = {name: values for name, values in posterior.values.items() if name in priors}
    return Calibration(
        location=point.location,
        parameters=point.parameters,
        chain_ess=[effective_sample_size(chain.weights) for chain in chains],
        ess=effective_sample_size(posterior.weights),
        distances=[float(np.max(chain.distances)) for chain in chains],
        rhat={
            name: rank_normalised_rhat([Draws(chain.values[name], chain.weights) for chain in chains])
            for name in posterior.values
        },
        contraction={name: float("nan") for name in posterior.values}
        | {name: contraction(values, posterior.weights, priors[name]) for name, values in known.items()},
        at_bounds=dict.fromkeys(posterior.values, undefined)
        | {name: shares_at_bounds(values, posterior.weights, priors[name]) for name, values in known.items()},
    )


def calibration_findings(found: Calibration) -> Iterator[Finding]:
    """One finding for each check, about the parameter for which it is worst."""
    yield _particles(found)
    if len(found.chain_ess) > 1:  # a single chain has nothing to agree with
        yield _agreement(found)
        yield _distances(found)
    yield _bounds(found)
    yield _contraction(found)


def _finding(
    found: Calibration, check: str, severity: Severity, sentence: str, numbers: Mapping[str, float]
) -> Finding:
    return Finding(check, severity, sentence, found.location, "", found.parameters, numbers)


def _particles(found: Calibration) -> Finding:
    severity = grade(found.ess, warn=ENOUGH, fail=TOO_FEW)
    sentence = (
        f"the posterior is worth {found.ess:.0f} equally weighted particles; with fewer than {ENOUGH:.0f}, the ends of "
        f"intervals are imprecise"
    )
    numbers = {"effective_sample_size": found.ess, "smallest_chain": min(found.chain_ess)}
    return _finding(found, "effective_sample_size", severity, sentence, numbers)


def _agreement(found: Calibration) -> Finding:
    name, rhat = _largest(found.rhat)
    severity = grade(rhat, warn=AGREE, fail=DISAGREE)
    differ = f"the {len(found.chain_ess)} chains differ most in {_label(name)}"
    sentence = f"{differ}: R-hat is {rhat:.2f}, acceptable up to {AGREE}"
    return _finding(found, "chains", severity, sentence, {"rhat": rhat})


def _distances(found: Calibration) -> Finding:
    best, worst = min(found.distances), max(found.distances)
    ratio = worst / best if best > 0 else 1.0 if worst == best else float("inf")
    severity = Severity.WARN if ratio > AS_CLOSE else Severity.PASS
    sentence = f"the worst chain accepted distances up to {worst:.4g}, the best one up to {best:.4g}"
    return _finding(found, "distance", severity, sentence, {"largest": worst, "smallest": best})


def _bounds(found: Calibration) -> Finding:
    at_bound = {
        name: max((share for share in shares if np.isfinite(share)), default=0.0)
        for name, shares in found.at_bounds.items()
    }
    name, share = _largest(at_bound)
    severity = Severity.WARN if share > CONCENTRATED else Severity.PASS
    end = "lower" if name and found.at_bounds[name][0] == share else "upper"
    sentence = (
        f"{as_percent(share)} of the posterior of {_label(name)} is in the outermost 5\u00a0% of its prior, at the "
        f"{end} bound: the prior may be too narrow"
    )
    return _finding(found, "prior_bounds", severity, sentence, {"share": share})


def _contraction(found: Calibration) -> Finding:
    # Negative, because the worst parameter is the one with the least contraction.
    finite = {name: -value for name, value in found.contraction.items() if np.isfinite(value)}
    name, least = _largest(finite)
    severity = grade(-least, warn=LEARNED, fail=float("-inf"))  # never a failure: the forecast may not depend on it
    sentence = f"the data say little about {_label(name)}: its posterior is almost as wide as its prior"
    return _finding(found, "contraction", severity, sentence, {"contraction": -least})


def _largest(numbers: Mapping[str, float]) -> tuple[str, float]:
    """The parameter with the largest number; ('', nan) if none has one."""
    finite = {name: value for name, value in numbers.items() if not np.isnan(value)}
    name = max(finite, key=lambda key: finite[key], default="")
    return name, finite.get(name, float("nan"))


def _label(name: str) -> str:
    return name.replace("_", " ")
