"""What became of each simulated epidemic, in a table."""

from __future__ import annotations

from epydrop_stages.outputs.report.material import Material, Section

_MOST = 200
_FOLD_FROM = 24


def section(material: Material) -> Section | None:
    """Nothing where the suite does not say who is infected or infectious."""
    rows = [
        (point, outcome) for point in material.points for outcome in point.outcomes if outcome.infected or outcome.peak
    ]
    if not rows:
        return None
    data = {
        "rows": rows[:_MOST],
        "count": len(rows),
        "more": len(rows) - _MOST,
        "fold": len(rows) > _FOLD_FROM,
        "paths": material.paths,
        "names": material.names,
        "derived": list(dict.fromkeys(name for point, _ in rows for name in point.derived or {})),
        "units": material.model.units,
        "has_scenarios": any(outcome.scenario for _, outcome in rows),
    }
    return Section("outcomes", "Outcomes", "outcomes.html.j2", data)
