"""Checks of one calibrated point: whether its posterior is large enough, its chains agree and the data spoke."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from epydrop_stages.contract.description import Prior
from epydrop_stages.contract.results import Posterior
from epydrop_stages.outputs.pools import Pool, effective_sample_size
from epydrop_stages.outputs.quality.checks import Finding, Severity, as_percent, grade, plain_number
from epydrop_stages.outputs.quality.diagnostics import Draws, contraction, mass_at_bounds, rank_normalised_rhat

ENOUGH, TOO_FEW = 100.0, 10.0
"""Effective particles: with 100, two or three lie beyond each end of a 95 % interval; with 10, none does."""

AGREE, DISAGREE = 1.05, 1.2
"""R-hat: at 1.05 the spread between chains adds a tenth to the variance, at 1.2 almost half.

The 1.01 that is usual for Markov chains supposes 400 effective draws; so many particles are rare.
"""

AS_CLOSE = 1.5
"""The largest accepted distance of the worst chain over that of the best."""

PILED = 0.25
"""The share of a posterior in the outermost 5 % of its prior: five times what a prior alone would put there."""

SOMETHING_LEARNED = 0.1
"""Contraction; below, the posterior has more than nine tenths of the prior's variance."""


@dataclass(frozen=True)
class Calibration:
    """The diagnostics of one calibrated point; those of parameters by name, nan where they are not defined."""

    location: str
    parameters: Mapping[str, Any]
    chain_ess: Sequence[float]
    ess: float
    distances: Sequence[float]
    rhat: Mapping[str, float]
    contraction: Mapping[str, float]
    at_bounds: Mapping[str, tuple[float, float]]

    def to_document(self) -> dict[str, Any]:
        """As quality.json has it."""
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


def calibration_of(pool: Pool, posterior: Posterior, priors: Mapping[str, Prior]) -> Calibration:
    """The diagnostics of a point; ``posterior`` is that of all its chains."""
    chains = pool.posteriors
    nothing = (float("nan"), float("nan"))
    known = {name: values for name, values in posterior.values.items() if name in priors}
    return Calibration(
        location=pool.location,
        parameters=pool.parameters,
        chain_ess=[effective_sample_size(chain.weights) for chain in chains],
        ess=effective_sample_size(posterior.weights),
        distances=[float(np.max(chain.distances)) for chain in chains],
        rhat={
            name: rank_normalised_rhat([Draws(chain.values[name], chain.weights) for chain in chains])
            for name in posterior.values
        },
        contraction={name: float("nan") for name in posterior.values}
        | {name: contraction(values, posterior.weights, priors[name]) for name, values in known.items()},
        at_bounds=dict.fromkeys(posterior.values, nothing)
        | {name: mass_at_bounds(values, posterior.weights, priors[name]) for name, values in known.items()},
    )


def findings(found: Calibration) -> Iterator[Finding]:
    """One finding for each check, the worst parameter speaking for all."""
    yield _enough(found)
    if len(found.chain_ess) > 1:
        yield _agreement(found)
        yield _distances(found)
    yield _bounds(found)
    yield _learned(found)


def _finding(
    found: Calibration, check: str, severity: Severity, sentence: str, numbers: Mapping[str, float]
) -> Finding:
    return Finding(check, severity, sentence, found.location, "", found.parameters, numbers)


def _enough(found: Calibration) -> Finding:
    severity = grade(found.ess, warn=ENOUGH, fail=TOO_FEW)
    sentence = f"the posterior is worth {found.ess:.0f} equally weighted particles; below {ENOUGH:.0f}, tails are rough"
    numbers = {"effective_sample_size": found.ess, "smallest_chain": min(found.chain_ess)}
    return _finding(found, "effective_sample_size", severity, sentence, numbers)


def _agreement(found: Calibration) -> Finding:
    name, rhat = _largest(found.rhat)
    severity = grade(rhat, warn=AGREE, fail=DISAGREE)
    sentence = (
        f"the {len(found.chain_ess)} chains differ in {_words(name)}: R-hat is {rhat:.2f}, up to {AGREE} is tolerable"
    )
    return _finding(found, "chains", severity, sentence, {"rhat": rhat})


def _distances(found: Calibration) -> Finding:
    best, last = min(found.distances), max(found.distances)
    ratio = last / best if best > 0 else 1.0 if last == best else float("inf")
    severity = Severity.WARN if ratio > AS_CLOSE else Severity.PASS
    sentence = f"one chain accepted distances up to {last:.4g}, another only up to {best:.4g}"
    return _finding(found, "distance", severity, sentence, {"largest": last, "smallest": best})


def _bounds(found: Calibration) -> Finding:
    piled = {
        name: max((share for share in shares if np.isfinite(share)), default=0.0)
        for name, shares in found.at_bounds.items()
    }
    name, share = _largest(piled)
    severity = Severity.WARN if share > PILED else Severity.PASS
    end = "lower" if name and found.at_bounds[name][0] == share else "upper"
    sentence = (
        f"{as_percent(share)} of the posterior of {_words(name)} lie in the outermost 5\u00a0% of its prior, at the "
        f"{end} bound: the prior may cut it off"
    )
    return _finding(found, "prior_bounds", severity, sentence, {"share": share})


def _learned(found: Calibration) -> Finding:
    finite = {name: -value for name, value in found.contraction.items() if np.isfinite(value)}
    name, least = _largest(finite)
    severity = grade(-least, warn=SOMETHING_LEARNED, fail=float("-inf"))
    sentence = f"the data say little about {_words(name)}: its posterior is almost as wide as its prior"
    return _finding(found, "contraction", severity, sentence, {"contraction": -least})


def _largest(numbers: Mapping[str, float]) -> tuple[str, float]:
    """The parameter with the largest number, nan when there is none."""
    finite = {name: value for name, value in numbers.items() if not np.isnan(value)}
    name = max(finite, key=lambda key: finite[key], default="")
    return name, finite.get(name, float("nan"))


def _words(name: str) -> str:
    return name.replace("_", " ")
