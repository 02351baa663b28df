"""The tasks without a result, grouped by cause."""

from __future__ import annotations

from typing import Any

from epydrop_stages.contract.suite import Gap
from epydrop_stages.outputs.report.context import ReportContext, Section
from epydrop_stages.outputs.report.formatting import joined

_MOST_ROWS = 50
_MOST_LOCATIONS = 8


def section(context: ReportContext) -> Section | None:
    """None if every task has a result."""
    facts = context.facts
    if not facts.missing:
        return None
    locations = {line.index: line.key.location for line, _ in facts.missing}
    data = {
        "gaps": [_group(context, gap, locations) for gap in facts.gaps],
        "rows": facts.missing[:_MOST_ROWS],
        "more": len(facts.missing) - _MOST_ROWS,
        "count": len(facts.missing),
        "tasks": facts.tasks,
        "names": context.names,
        "paths": context.paths,
    }
    return Section("missing", "Missing results", "missing.html.j2", data)


def _group(context: ReportContext, gap: Gap, locations: dict[int, str]) -> dict[str, Any]:
    where = list(dict.fromkeys(context.location_name(locations[index]) for index in gap.tasks))
    return {"gap": gap, "where": joined(where, _MOST_LOCATIONS), "tasks": str(gap.tasks).replace(",", ", ")}
