"""The quality of a whole run: findings gathered point by point, checks over all points, and quality.json."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from epydrop.experiment import Experiment
from epydrop_stages.outputs.quality.calibration_checks import Calibration
from epydrop_stages.outputs.quality.findings import CHECKS, Finding, Severity, as_percent, worst
from epydrop_stages.outputs.quality.observation_checks import SHARES, Score

_ENOUGH_TO_JUDGE = 10  # held-back observations; the coverage of fewer is mostly chance
_TOO_LOW = {0.5: 0.3, 0.8: 0.6, 0.95: 0.8}
"""Interval -> the coverage below which it is too narrow."""


@dataclass(frozen=True)
class PointQuality:
    """The quality of one point. ``passed`` counts the passes of each check; ``findings`` are the others."""

    findings: Sequence[Finding] = ()
    passed: Mapping[str, int] = field(default_factory=dict)
    calibration: Calibration | None = None
    scores: Sequence[Score] = ()

    @classmethod
    def of(
        cls, findings: Iterable[Finding], calibration: Calibration | None = None, scores: Sequence[Score] = ()
    ) -> PointQuality:
        """Counts the findings that pass and keeps the others."""
        every = list(findings)
        kept = [finding for finding in every if finding.severity is not Severity.PASS]
        passed = Counter(finding.check for finding in every if finding.severity is Severity.PASS)
        return cls(kept, passed, calibration, scores)

    def with_findings(self, findings: Iterable[Finding]) -> PointQuality:
        """A copy with more findings."""
        more = PointQuality.of(findings)
        passed = Counter(self.passed) + Counter(more.passed)
        return replace(self, findings=[*self.findings, *more.findings], passed=passed)


class RunQuality:
    """Gathers the quality of all points; what it keeps of each is small."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._passed: Counter[str] = Counter()
        self.calibrations: list[Calibration] = []
        self.scores: list[Score] = []

    def add(self, point: PointQuality) -> None:
        """Adds one point, in the order of the tasks."""
        self._findings += point.findings
        self._passed.update(point.passed)
        self.calibrations += [point.calibration] if point.calibration else []
        self.scores += point.scores

    def extend(self, findings: Iterable[Finding]) -> None:
        """Adds findings about the whole run."""
        self.add(PointQuality.of(findings))

    @property
    def verdict(self) -> Severity:
        """The worst severity of all findings."""
        return worst(finding.severity for finding in self._findings)

    @property
    def findings(self) -> list[Finding]:
        """All findings that do not pass: the worst first, then by check, then in the order of the points."""
        return sorted(self._findings, key=lambda finding: finding.rank)

    def passed(self) -> Iterator[str]:
        """The checks that were made and passed everywhere."""
        failed = {finding.check for finding in self._findings}
        return (check for check in CHECKS if self._passed[check] and check not in failed)

    def to_json(self, run_id: str) -> bytes:
        """The content of quality.json."""
        by_check: dict[str, list[Finding]] = {check: [] for check in CHECKS}  # in the order of the report
        for finding in self._findings:
            by_check[finding.check].append(finding)
        document = {
            "format": 1,
            "run_id": run_id,
            "quality": str(self.verdict),
            "checks": sorted(
                (self._document(check, found) for check, found in by_check.items() if found or self._passed[check]),
                key=lambda entry: list(Severity).index(entry["severity"]),
            ),
            "calibrations": [calibration.to_document() for calibration in self.calibrations],
            "scores": [score.to_document() for score in self.scores],
        }
        return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"

    def _document(self, check: str, found: Sequence[Finding]) -> dict[str, Any]:
        return {
            "id": check,
            "severity": str(worst(finding.severity for finding in found)),
            "sentence": CHECKS[check].failed if found else CHECKS[check].passed,
            "passed": self._passed[check],
            "findings": [finding.to_document() for finding in found],
        }


def coverage(scores: Sequence[Score]) -> dict[float, float]:
    """Interval -> the share of all held-back observations in it; empty without observations."""
    count = sum(score.count for score in scores)
    return {share: sum(score.covered[share] for score in scores) / count for share in SHARES if count}


def of_main_scenario(scores: Sequence[Score], experiment: Experiment) -> list[Score]:
    """The scores of the scenario that is meant as a forecast: the hub's, else the first.

    The others ask "what if" and are not expected to match what was observed.
    """
    hub = experiment.outputs.hub
    main = (hub.scenario if hub else None) or next(iter(experiment.scenarios), "")
    return [score for score in scores if score.scenario == main]


def forecast_findings(scores: Sequence[Score]) -> Iterator[Finding]:
    """Coverage and skill over all these scores: one location has too few held-back observations to be judged."""
    count = sum(score.count for score in scores)
    if count >= _ENOUGH_TO_JUDGE:
        covered = coverage(scores)
        low = [share for share in SHARES if covered[share] < _TOO_LOW[share]]
        listed = ", ".join(f"{as_percent(covered[share])} are in the {as_percent(share)} intervals" for share in SHARES)
        numbers = {f"coverage_{share * 100:g}": covered[share] for share in SHARES} | {"observations": count}
        severity = Severity.WARN if low else Severity.PASS
        yield Finding("coverage", severity, f"of {count} held-back observations, {listed}", numbers=numbers)
    known = [score for score in scores if score.baseline_wis > 0]  # else the ratio is undefined
    if known:
        # A ratio of sums: a mean of ratios would be dominated by locations with few cases.
        ratio = sum(s.wis * s.count for s in known) / sum(s.baseline_wis * s.count for s in known)
        worse = sum(score.relative_wis > 1 for score in known)
        severity = Severity.WARN if ratio > 1 else Severity.PASS
        sentence = (
            f"the weighted interval score is {ratio:.2f} times that of the naive forecast; {worse} of {len(known)} "
            f"forecasts are worse than the naive one"
        )
        yield Finding("skill", severity, sentence, numbers={"relative_wis": ratio, "worse": worse})


def hub_findings(problems: Sequence[str]) -> list[Finding]:
    """One finding for each problem of the hub file, or one that passes."""
    return [Finding("hub", Severity.FAIL, problem) for problem in problems] or [
        Finding("hub", Severity.PASS, "the hub would accept the file")
    ]
