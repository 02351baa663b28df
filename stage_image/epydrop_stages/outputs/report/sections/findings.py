"""Quality: every check that found something, the worst first, and those that did not."""

from __future__ import annotations

from typing import Any

from epydrop_stages.outputs.quality.checks import CHECKS, Finding, worst
from epydrop_stages.outputs.report.material import Material, Section

_MOST = 12  # findings of a check that the page shows; quality.json has all


def section(material: Material) -> Section:
    """What was checked."""
    findings = material.quality.findings
    checks = [_check(check, findings) for check in dict.fromkeys(finding.check for finding in findings)]
    passed = [CHECKS[check].kept for check, _ in material.quality.passed()]
    data = {"checks": checks, "passed": passed}
    return Section("quality", "Quality", "quality.html.j2", data)


def _check(check: str, findings: list[Finding]) -> dict[str, Any]:
    same = [finding for finding in findings if finding.check == check]
    return {
        "problem": CHECKS[check].broken,
        "severity": worst(finding.severity for finding in same),
        "findings": same[:_MOST],
        "more": len(same) - _MOST,
    }
