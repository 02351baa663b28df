"""The curves: large where there are few, a grid of small ones with an index where there are many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from epydrop_stages.outputs.quality.checks import Severity, worst
from epydrop_stages.outputs.report.material import Material, Section
from epydrop_stages.outputs.report.pictures import Picture
from epydrop_stages.outputs.report.summaries import PointSummary


def section(material: Material) -> Section | None:
    """Nothing when no point has a picture."""
    drawn = [point for point in material.points if any(_curves(point))]
    if not drawn:
        return None
    small = material.facts.draws_small
    forecasts = [point for point in drawn if point.forecasts]
    days = sorted({day for point in forecasts for forecast in point.forecasts for day, *_ in forecast.ahead})
    data = {
        "points": [_point(material, point) for point in drawn],
        "small": small,
        "not_shown": len(material.points) - len(drawn),
        "count": len(material.points),
        "index": [_row(material, point) for point in forecasts],
        "days": days,
        "many_ends": len({forecast.last[0] for point in forecasts for forecast in point.forecasts}) > 1,
        "label": forecasts[0].forecasts[0].label if forecasts else "",
        "scenarios": [name for name in material.scenarios if name],
        "has_held_back": bool(material.quality.scores),
    }
    return Section("curves", "Forecasts" if forecasts else "Curves", "gallery.html.j2", data)


def _curves(point: PointSummary) -> Iterator[Picture]:
    return (picture for picture in point.pictures if picture.kind != "posterior")


def _point(material: Material, point: PointSummary) -> dict[str, Any]:
    pictures = [
        {**material.album.show(each.name), "scenario": each.scenario, "kind": each.kind} for each in _curves(point)
    ]
    kinds = list(dict.fromkeys(picture["kind"] for picture in pictures))
    rows = [[picture for picture in pictures if picture["kind"] == kind] for kind in kinds]
    return {
        "anchor": _anchor(point),
        "title": material.label(point),
        "rows": rows if len(rows[0]) > 1 else [pictures],
        "severity": _severity(material, point),
    }


def _row(material: Material, point: PointSummary) -> dict[str, Any]:
    return {
        "anchor": _anchor(point),
        "title": material.label(point),
        "forecasts": [(each, {day: values for day, *values in each.ahead}) for each in point.forecasts],
        "severity": _severity(material, point),
        "words": "; ".join(finding.sentence for finding in _findings(material, point)),
    }


def _anchor(point: PointSummary) -> str:
    return f"point-{point.index}"


def _findings(material: Material, point: PointSummary) -> Sequence[Any]:
    return [
        finding
        for finding in material.quality.findings
        if finding.location == point.location and finding.parameters == point.parameters
    ]


def _severity(material: Material, point: PointSummary) -> Severity:
    return worst(finding.severity for finding in _findings(material, point))
