"""The fan charts: full size for a few points, a grid of small ones for many; and the forecast in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from epydrop_stages.outputs.quality.findings import Finding, Severity, worst
from epydrop_stages.outputs.report.context import ReportContext, Section
from epydrop_stages.outputs.report.figure_files import PointFigure
from epydrop_stages.outputs.report.point_summary import PointSummary


def section(context: ReportContext) -> Section | None:
    """None if no point has a figure."""
    drawn = [point for point in context.points if any(_curves(point))]
    if not drawn:
        return None
    forecasts = [point for point in drawn if point.forecasts]
    days = sorted({day for point in forecasts for forecast in point.forecasts for day, *_ in forecast.ahead})
    data = {
        "points": [_point(context, point) for point in drawn],
        "small": context.facts.draws_small,
        "not_shown": len(context.points) - len(drawn),
        "count": len(context.points),
        "index": [_row(context, point) for point in forecasts],
        "days": days,
        "many_ends": len({forecast.last[0] for point in forecasts for forecast in point.forecasts}) > 1,
        "label": forecasts[0].forecasts[0].label if forecasts else "",
        "scenarios": [name for name in context.scenarios if name],
        "has_held_back": bool(context.quality.scores),
    }
    return Section("curves", "Forecasts" if forecasts else "Curves", "curves.html.j2", data)


def _curves(point: PointSummary) -> Iterator[PointFigure]:
    return (figure for figure in point.figures if figure.kind != "posterior")


def _point(context: ReportContext, point: PointSummary) -> dict[str, Any]:
    figures = [
        {**context.figures.show(each.name), "scenario": each.scenario, "kind": each.kind} for each in _curves(point)
    ]
    kinds = list(dict.fromkeys(figure["kind"] for figure in figures))
    rows = [[figure for figure in figures if figure["kind"] == kind] for kind in kinds]
    return {
        "anchor": _anchor(point),
        "title": context.point_label(point),
        "rows": rows if len(rows[0]) > 1 else [figures],  # without scenarios all kinds fit into one row
        "severity": _severity(context, point),
    }


def _row(context: ReportContext, point: PointSummary) -> dict[str, Any]:
    return {
        "anchor": _anchor(point),
        "title": context.point_label(point),
        "forecasts": [(each, {day: values for day, *values in each.ahead}) for each in point.forecasts],
        "severity": _severity(context, point),
        "words": "; ".join(finding.sentence for finding in _findings(context, point)),
    }


def _anchor(point: PointSummary) -> str:
    return f"point-{point.index}"


def _findings(context: ReportContext, point: PointSummary) -> Sequence[Finding]:
    return [
        finding
        for finding in context.quality.findings
        if finding.location == point.location and finding.parameters == point.parameters
    ]


def _severity(context: ReportContext, point: PointSummary) -> Severity:
    return worst(finding.severity for finding in _findings(context, point))
