"""All findings of a run: gathered point by point, completed with what only the whole can tell, and written down."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from epydrop.experiment import Experiment
from epydrop_stages.outputs.quality.calibration import Calibration
from epydrop_stages.outputs.quality.checks import CHECKS, Finding, Severity, as_percent, worst
from epydrop_stages.outputs.quality.fit import SHARES, Score

_ENOUGH_TO_JUDGE = 10  # held-back observations; the coverage of fewer says nothing
_TOO_LOW = {0.5: 0.3, 0.8: 0.6, 0.95: 0.8}
"""Coverage below which an interval claims too much, by the share that it claims to hold."""


@dataclass(frozen=True)
class PointQuality:
    """What one point was checked for: findings that are no passes, how many passes of each check, and numbers."""

    findings: Sequence[Finding] = ()
    passed: Mapping[str, int] = field(default_factory=dict)
    calibration: Calibration | None = None
    scores: Sequence[Score] = ()

    @classmethod
    def of(
        cls, findings: Iterable[Finding], calibration: Calibration | None = None, scores: Sequence[Score] = ()
    ) -> PointQuality:
        """From all findings of the point."""
        every = list(findings)
        told = [finding for finding in every if finding.severity is not Severity.PASS]
        passed = Counter(finding.check for finding in every if finding.severity is Severity.PASS)
        return cls(told, passed, calibration, scores)

    def with_findings(self, findings: Iterable[Finding]) -> PointQuality:
        """The same with more of them."""
        more = PointQuality.of(findings)
        passed = Counter(self.passed) + Counter(more.passed)
        return replace(self, findings=[*self.findings, *more.findings], passed=passed)


class Quality:
    """Takes the points in turn; small, whatever their number."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._passed: Counter[str] = Counter()
        self.calibrations: list[Calibration] = []
        self.scores: list[Score] = []

    def add(self, point: PointQuality) -> None:
        """One point's."""
        self._findings += point.findings
        self._passed.update(point.passed)
        self.calibrations += [point.calibration] if point.calibration else []
        self.scores += point.scores

    def extend(self, findings: Iterable[Finding]) -> None:
        """Findings on the whole run."""
        self.add(PointQuality.of(findings))

    @property
    def verdict(self) -> Severity:
        """The worst that was found."""
        return worst(finding.severity for finding in self._findings)

    @property
    def findings(self) -> list[Finding]:
        """All that is no pass, the worst first, and in the order of the points."""
        return sorted(self._findings, key=lambda finding: finding.rank)

    def passed(self) -> Iterator[tuple[str, int]]:
        """The checks that were made and found nothing, with how many times."""
        told = {finding.check for finding in self._findings}
        return ((check, self._passed[check]) for check in CHECKS if self._passed[check] and check not in told)

    def to_json(self, run_id: str) -> bytes:
        """The file quality.json."""
        by_check: dict[str, list[Finding]] = {check: [] for check in CHECKS}
        for finding in self._findings:
            by_check[finding.check].append(finding)
        document = {
            "format": 1,
            "run_id": run_id,
            "quality": str(self.verdict),
            "checks": sorted(
                (self._check(check, found) for check, found in by_check.items() if found or self._passed[check]),
                key=lambda entry: list(Severity).index(entry["severity"]),
            ),
            "calibrations": [calibration.to_document() for calibration in self.calibrations],
            "scores": [score.to_document() for score in self.scores],
        }
        return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"

    def _check(self, check: str, found: Sequence[Finding]) -> dict[str, Any]:
        return {
            "id": check,
            "severity": str(worst(finding.severity for finding in found)),
            "sentence": CHECKS[check].broken if found else CHECKS[check].kept,
            "passed": self._passed[check],
            "findings": [finding.to_document() for finding in found],
        }


def coverage(scores: Sequence[Score]) -> dict[float, float]:
    """The share of all held-back observations that each interval holds; empty when there are none."""
    count = sum(score.count for score in scores)
    return {share: sum(score.covered[share] for score in scores) / count for share in SHARES if count}


def of_main_scenario(scores: Sequence[Score], experiment: Experiment) -> list[Score]:
    """The scores of what is meant as a forecast: the hub's scenario, else the first; the others ask what if."""
    hub = experiment.outputs.hub
    main = (hub.scenario if hub else None) or next(iter(experiment.scenarios), "")
    return [score for score in scores if score.scenario == main]


def forecast_findings(scores: Sequence[Score]) -> Iterator[Finding]:
    """What all these scores say; a single location has too few held-back observations to be judged."""
    count = sum(score.count for score in scores)
    if count >= _ENOUGH_TO_JUDGE:
        held = coverage(scores)
        low = [share for share in SHARES if held[share] < _TOO_LOW[share]]
        sentence = ", ".join(f"the {as_percent(share)} intervals hold {as_percent(held[share])}" for share in SHARES)
        numbers = {f"coverage_{share * 100:g}": held[share] for share in SHARES} | {"observations": count}
        severity = Severity.WARN if low else Severity.PASS
        yield Finding("coverage", severity, f"of {count} held-back observations {sentence}", numbers=numbers)
    known = [score for score in scores if score.baseline_wis > 0]
    if known:
        ratio = sum(s.wis * s.count for s in known) / sum(s.baseline_wis * s.count for s in known)
        worse = sum(score.relative_wis > 1 for score in known)
        severity = Severity.WARN if ratio > 1 else Severity.PASS
        sentence = (
            f"its weighted interval score is {ratio:.2f} times that of carrying the last observation forward; "
            f"{worse} of {len(known)} forecasts did worse than that"
        )
        yield Finding("skill", severity, sentence, numbers={"relative_wis": ratio, "worse": worse})


def hub_findings(problems: Sequence[str]) -> list[Finding]:
    """The problems of a hub file, or that there are none."""
    return [Finding("hub", Severity.FAIL, problem) for problem in problems] or [
        Finding("hub", Severity.PASS, "the hub's rules are kept")
    ]
