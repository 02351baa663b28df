"""The checks that found something, the worst first, and those that passed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from epydrop_stages.outputs.quality.findings import CHECKS, Finding, worst
from epydrop_stages.outputs.report.context import ReportContext, Section

_MOST = 12  # findings of one check; quality.json has all


def section(context: ReportContext) -> Section:
    """Always shown."""
    findings = context.quality.findings
    data = {
        "checks": [_check(check, findings) for check in dict.fromkeys(finding.check for finding in findings)],
        "passed": [CHECKS[check].passed for check in context.quality.passed()],
    }
    return Section("quality", "Quality", "quality.html.j2", data)


def _check(check: str, findings: Sequence[Finding]) -> dict[str, Any]:
    same = [finding for finding in findings if finding.check == check]
    return {
        "headline": CHECKS[check].failed,
        "severity": worst(finding.severity for finding in same),
        "findings": same[:_MOST],
        "more": len(same) - _MOST,
    }
