"""The outcome of each simulated epidemic, in a table."""

from __future__ import annotations

from epydrop_stages.outputs.report.context import ReportContext, Section

_MOST = 200
_FOLD_FROM = 24  # rows; longer tables are collapsed


def section(context: ReportContext) -> Section | None:
    """None if the model names neither its infections nor its infectious compartments."""
    rows = [
        (point, outcome) for point in context.points for outcome in point.outcomes if outcome.infected or outcome.peak
    ]
    if not rows:
        return None
    data = {
        "rows": rows[:_MOST],
        "count": len(rows),
        "more": len(rows) - _MOST,
        "fold": len(rows) > _FOLD_FROM,
        "paths": context.paths,
        "names": context.names,
        "derived": list(dict.fromkeys(name for point, _ in rows for name in point.derived)),
        "units": context.model.units,
        "has_scenarios": any(outcome.scenario for _, outcome in rows),
    }
    return Section("outcomes", "Outcomes", "outcomes.html.j2", data)
