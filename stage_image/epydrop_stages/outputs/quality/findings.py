"""The list of checks, and what a check finds: a severity, a sentence and its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """Worst first. 'fail': do not use the outputs as they are. 'warn': usable, if the reader knows of it."""

    FAIL = "fail"
    WARN = "warn"
    PASS = "pass"  # noqa: S105 - a verdict, not a password


_ORDER = list(Severity)


@dataclass(frozen=True)
class Check:
    """The headline of a check when it passes, and when it does not.

    ``in_summary``: whether the head of the report lists it; not if the head says the same in other words.
    """

    passed: str
    failed: str
    in_summary: bool = True


CHECKS: Mapping[str, Check] = {
    "locations": Check(
        "All locations are present, with all their tasks",
        "Locations are missing or incomplete",
        in_summary=False,
    ),
    "finite": Check("All numbers are finite", "Numbers are infinite or missing"),
    "population": Check(
        "The compartments add up to the population on every day",
        "The compartments do not add up to the population",
    ),
    "quantiles": Check("Quantiles increase with their levels", "Quantiles cross"),
    "hub": Check("The hub file is complete and valid", "The hub file is incomplete or invalid"),
    "package": Check(
        "The modelling package produced everything that was requested",
        "The modelling package did not produce everything that was requested",
    ),
    "effective_sample_size": Check(
        "The posteriors have enough effective particles",
        "Posteriors have few effective particles",
    ),
    "chains": Check("Independent calibrations agree", "Independent calibrations disagree"),
    "distance": Check(
        "All chains fit the data about equally well",
        "Some chains fit the data worse than others",
    ),
    "prior_bounds": Check(
        "No posterior is concentrated at a bound of its prior",
        "Posteriors are concentrated at a bound of their prior",
    ),
    "contraction": Check("The data narrowed every prior", "The data hardly narrowed some priors"),
    "fit": Check("The calibrated model covers the fitted data", "The calibrated model misses fitted data"),
    "coverage": Check(
        "Prediction intervals cover held-back observations as often as they should",
        "Prediction intervals cover held-back observations too rarely",
    ),
    "skill": Check(
        "The forecast beats the naive forecast, which repeats the last observation",
        "The forecast is worse than the naive forecast, which repeats the last observation",
    ),
}
"""Check id -> headlines, in the order of the report."""


@dataclass(frozen=True)
class Finding:
    """The result of one check. Without a ``location`` it is about the whole run, without a ``scenario`` about all."""

    check: str
    severity: Severity
    sentence: str
    location: str = ""
    scenario: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def rank(self) -> tuple[int, int]:
        """Sort key: the worst first, then in the order of ``CHECKS``."""
        return _ORDER.index(self.severity), list(CHECKS).index(self.check)

    def to_document(self) -> dict[str, Any]:
        """The entry in quality.json."""
        return {
            "severity": str(self.severity),
            "location": self.location,
            "scenario": self.scenario,
            "parameters": dict(self.parameters),
            "sentence": self.sentence,
            "numbers": {name: plain_number(value) for name, value in self.numbers.items()},
        }


def worst(severities: Iterable[Severity]) -> Severity:
    """The worst of several; 'pass' if there are none."""
    return min(severities, key=_ORDER.index, default=Severity.PASS)


def grade(value: float, *, warn: float, fail: float) -> Severity:
    """'fail' beyond ``fail``, 'warn' beyond ``warn``, else 'pass'.

    Large values are bad if ``fail`` is the larger threshold, small ones if it is the smaller. nan passes: what is not
    defined cannot be judged.
    """
    sign = 1.0 if fail >= warn else -1.0  # turns "small is bad" into "large is bad"
    if sign * value > sign * fail:
        return Severity.FAIL
    return Severity.WARN if sign * value > sign * warn else Severity.PASS


def as_percent(share: float) -> str:
    """A share such as 0.95 as '95 %', with a no-break space."""
    return f"{100 * share:.0f}\u00a0%"


def plain_number(value: float) -> float | int | None:
    """The value to six significant digits for JSON; None, which becomes null, if it is not finite."""
    number = float(f"{float(value):.6g}")  # the last digits differ between processors
    if not math.isfinite(number):
        return None
    # 3 rather than 3.0; above 2**53 not every integer is a float, so the digits would pretend too much.
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
