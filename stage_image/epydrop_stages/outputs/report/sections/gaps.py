"""What is missing, grouped by why."""

from __future__ import annotations

from typing import Any

from epydrop_stages.contract.suite import Gap
from epydrop_stages.outputs.report.material import Material, Section
from epydrop_stages.outputs.report.words import joined

_MOST_ROWS = 50
_MOST_PLACES = 8


def section(material: Material) -> Section | None:
    """Nothing when every task has a result."""
    facts = material.facts
    if not facts.missing:
        return None
    locations = {line.index: line.key.location for line, _ in facts.missing}
    data = {
        "gaps": [_group(material, gap, locations) for gap in facts.gaps],
        "rows": facts.missing[:_MOST_ROWS],
        "more": len(facts.missing) - _MOST_ROWS,
        "count": len(facts.missing),
        "tasks": facts.tasks,
        "names": material.names,
        "paths": material.paths,
    }
    return Section("missing", "What is missing, and why", "gaps.html.j2", data)


def _group(material: Material, gap: Gap, locations: dict[int, str]) -> dict[str, Any]:
    where = list(dict.fromkeys(material.place(locations[index]) for index in gap.tasks))
    return {"gap": gap, "where": joined(where, _MOST_PLACES), "tasks": str(gap.tasks).replace(",", ", ")}
