"""What was estimated: posteriors beside their priors, chain by chain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from epydrop_stages.outputs.report.marginals import Estimate
from epydrop_stages.outputs.report.material import Material, Section
from epydrop_stages.outputs.report.pictures import safe_name
from epydrop_stages.outputs.report.summaries import PointSummary

_MOST_ROWS = 200  # estimates that the page tells in numbers
_MOST_IN_FOREST = 60
_FOREST_FROM = 3  # points; fewer are told better by their own posteriors


def section(material: Material) -> Section | None:
    """Nothing when nothing was calibrated."""
    calibrated = [point for point in material.points if point.estimates]
    if not calibrated:
        return None
    rows = [(point, position, each) for point in calibrated for position, each in enumerate(point.estimates)]
    data = {
        "rows": rows[:_MOST_ROWS],
        "more": len(rows) - _MOST_ROWS,
        "spans": {point.index: len(point.estimates) for point in calibrated},
        "fold": len(rows) > 24,
        "paths": material.paths,
        "names": material.names,
        "units": material.model.units,
        "forests": list(_forests(material, calibrated)) if len(calibrated) >= _FOREST_FROM else [],
        "forest_more": len(calibrated) - _MOST_IN_FOREST,
        "posteriors": list(_posteriors(material, calibrated)),
        "chains": max(len(point.estimates[0].chains) for point in calibrated),
    }
    return Section("estimates", "Estimates", "estimates.html.j2", data)


def _forests(material: Material, calibrated: list[PointSummary]) -> Iterator[dict[str, Any]]:
    """One figure a parameter, one row a point."""
    from epydrop_stages.outputs.report.figures.posteriors import forest_chart  # noqa: PLC0415 - matplotlib

    shown = calibrated[:_MOST_IN_FOREST]
    for name in dict.fromkeys(each.name for point in shown for each in point.estimates):
        found = [(material.label(point), each) for point in shown for each in point.estimates if each.name == name]
        drawing = forest_chart(name, material.model.units.get(name, ""), found)
        words = f"{name} of {len(found)} points: {_range(found)}"
        yield material.album.draw(safe_name(f"estimates-{name}"), words, drawing)


def _range(found: list[tuple[str, Estimate]]) -> str:
    low, high = min(found, key=lambda each: each[1].pooled.median), max(found, key=lambda each: each[1].pooled.median)
    return f"medians from {low[1].pooled.median:.3g} ({low[0]}) to {high[1].pooled.median:.3g} ({high[0]})"


def _posteriors(material: Material, calibrated: list[PointSummary]) -> Iterator[dict[str, Any]]:
    for point in calibrated:
        found = [picture for picture in point.pictures if picture.kind == "posterior"]
        if found:
            pictures = [material.album.show(each.name) for each in found]
            yield {"title": material.label(point), "pictures": pictures}
