"""A check and its findings: what is promised, whether it holds, and where it does not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """Worst first. A failed check means: do not forward this as it is. A warning means: know this when you do."""

    FAIL = "fail"
    WARN = "warn"
    PASS = "pass"  # noqa: S105 - a verdict, no password


_ORDER = list(Severity)


@dataclass(frozen=True)
class Promise:
    """What a check is about: in words when it holds, and when it does not."""

    kept: str
    broken: str


CHECKS: Mapping[str, Promise] = {
    "locations": Promise(
        "Every location is present with all its tasks",
        "Locations are missing, or lack tasks",
    ),
    "finite": Promise("Every number is finite", "Numbers are infinite or missing"),
    "population": Promise(
        "People are conserved: the compartments add up to the population every day",
        "People are not conserved: the compartments do not add up to the population",
    ),
    "quantiles": Promise("Quantiles ascend with their levels", "Quantiles cross"),
    "hub": Promise("The hub file keeps the hub's rules", "The hub file lacks something, or the hub would refuse it"),
    "package": Promise(
        "The modelling package made everything that was asked of it",
        "The modelling package left something out, or did without",
    ),
    "effective_sample_size": Promise(
        "The posteriors rest on enough particles of comparable weight",
        "Posteriors rest on few particles",
    ),
    "chains": Promise("Independent calibrations agree", "Independent calibrations disagree"),
    "distance": Promise("All chains came equally close to the data", "Some chains came closer to the data than others"),
    "prior_bounds": Promise(
        "No posterior is piled up at a bound of its prior",
        "Posteriors are piled up at a bound of their prior",
    ),
    "contraction": Promise("The data narrowed every prior down", "The data left priors about as wide as they were"),
    "fit": Promise("The calibrated model covers the data it was fitted to", "The model misses data it was fitted to"),
    "coverage": Promise(
        "Prediction intervals hold as many held-back observations as they claim",
        "Prediction intervals hold fewer held-back observations than they claim",
    ),
    "skill": Promise(
        "The forecast beats carrying the last observation forward",
        "The forecast is worse than carrying the last observation forward",
    ),
}
"""What is checked, by id, in the order of the report."""


@dataclass(frozen=True)
class Finding:
    """One answer to one check. An empty ``location`` stands for the whole run, an empty ``scenario`` for all."""

    check: str
    severity: Severity
    sentence: str
    location: str = ""
    scenario: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def rank(self) -> tuple[int, int]:
        """Sorts the worst first, and then by check."""
        return _ORDER.index(self.severity), list(CHECKS).index(self.check)

    def to_document(self) -> dict[str, Any]:
        """As quality.json has it."""
        return {
            "severity": str(self.severity),
            "location": self.location,
            "scenario": self.scenario,
            "parameters": dict(self.parameters),
            "sentence": self.sentence,
            "numbers": {name: plain_number(value) for name, value in self.numbers.items()},
        }


def worst(severities: Iterable[Severity]) -> Severity:
    """The worst of several; 'pass' when there are none."""
    return min(severities, key=_ORDER.index, default=Severity.PASS)


def grade(value: float, *, warn: float, fail: float) -> Severity:
    """The severity of a number that gets worse from ``warn`` towards ``fail``, whichever way that is; nan passes."""
    sign = 1.0 if fail >= warn else -1.0
    if sign * value > sign * fail:
        return Severity.FAIL
    return Severity.WARN if sign * value > sign * warn else Severity.PASS


def as_percent(share: float) -> str:
    """A share as people write it, with a space that does not break."""
    return f"{100 * share:.0f}\u00a0%"


def plain_number(value: float) -> float | int | None:
    """A number as JSON can have it: to six significant digits, and null where it is not finite."""
    number = float(f"{float(value):.6g}")
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
