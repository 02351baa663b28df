"""The estimated parameters: posteriors beside their priors, by chain, and in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from epydrop_stages.outputs.report.context import ReportContext, Section
from epydrop_stages.outputs.report.figure_files import safe_name
from epydrop_stages.outputs.report.point_summary import PointSummary
from epydrop_stages.outputs.report.posterior_estimates import Estimate

_MOST_ROWS = 200
_FOLD_FROM = 24  # rows; longer tables are collapsed
_MOST_IN_FOREST = 60
_FOREST_FROM = 3  # points; for fewer, the posteriors themselves say more


def section(context: ReportContext) -> Section | None:
    """None if nothing was calibrated."""
    calibrated = [point for point in context.points if point.estimates]
    if not calibrated:
        return None
    rows = [(point, position, each) for point in calibrated for position, each in enumerate(point.estimates)]
    data = {
        "rows": rows[:_MOST_ROWS],
        "more": len(rows) - _MOST_ROWS,
        "spans": {point.index: len(point.estimates) for point in calibrated},
        "fold": len(rows) > _FOLD_FROM,
        "paths": context.paths,
        "names": context.names,
        "units": context.model.units,
        "forests": list(_forests(context, calibrated)) if len(calibrated) >= _FOREST_FROM else [],
        "forest_more": len(calibrated) - _MOST_IN_FOREST,
        "posteriors": list(_posteriors(context, calibrated)),
        "chains": max(len(point.estimates[0].chains) for point in calibrated),
    }
    return Section("estimates", "Estimates", "estimates.html.j2", data)


def _forests(context: ReportContext, calibrated: Sequence[PointSummary]) -> Iterator[dict[str, Any]]:
    """One figure for each parameter, with one row for each point."""
    from epydrop_stages.outputs.report.figures.posteriors import forest_chart  # noqa: PLC0415 - matplotlib is slow

    shown = calibrated[:_MOST_IN_FOREST]
    for name in dict.fromkeys(each.name for point in shown for each in point.estimates):
        found = [(context.point_label(point), each) for point in shown for each in point.estimates if each.name == name]
        drawing = forest_chart(name, context.model.units.get(name, ""), found)
        alt_text = f"{name} of {len(found)} points: {_range(found)}"
        yield context.figures.draw(safe_name(f"estimates-{name}"), alt_text, drawing)


def _range(found: Sequence[tuple[str, Estimate]]) -> str:
    low, high = min(found, key=lambda each: each[1].pooled.median), max(found, key=lambda each: each[1].pooled.median)
    return f"medians from {low[1].pooled.median:.3g} ({low[0]}) to {high[1].pooled.median:.3g} ({high[0]})"


def _posteriors(context: ReportContext, calibrated: Sequence[PointSummary]) -> Iterator[dict[str, Any]]:
    for point in calibrated:
        found = [figure for figure in point.figures if figure.kind == "posterior"]
        if found:
            yield {
                "title": context.point_label(point),
                "pictures": [context.figures.show(figure.name) for figure in found],
            }
