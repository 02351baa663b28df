"""What the varied parameters change: the share infected against each number that tells the points apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from epydrop_stages.outputs.report.intervals import Interval
from epydrop_stages.outputs.report.material import Material, Section
from epydrop_stages.outputs.report.pictures import safe_name
from epydrop_stages.outputs.report.summaries import PointSummary, short

_FEWEST = 3  # different values, for a trend to be seen


def section(material: Material) -> Section | None:
    """Nothing when no parameter takes enough values, or nobody counts infections."""
    points = [point for point in material.points if _infected(point)]
    if not material.paths or not points:
        return None
    figures = list(_figures(material, points))
    return Section("sweep", "What the parameters change", "sweeps.html.j2", {"figures": figures}) if figures else None


def _figures(material: Material, points: list[PointSummary]) -> Iterator[dict[str, Any]]:
    from epydrop_stages.outputs.report.figures.sweeps import MOST_GROUPS, Dots, sweep_chart  # noqa: PLC0415 - matplotlib

    colours = _colours(material, points)
    for label, of in _axes(material, points, colours).items():
        groups = _grouped(points, colours)
        groups = groups if len(groups) <= MOST_GROUPS else {"": points}
        dots = [
            Dots(name, [of(point) for point in same], [each for point in same if (each := _infected(point))])
            for name, same in groups.items()
        ]
        drawing = sweep_chart(label, dots, title=material.facts.exp_id)
        words = f"share of the population infected against {label}, {len(points)} points"
        yield material.album.draw(safe_name(f"sweep-{label}"), words, drawing)


def _infected(point: PointSummary) -> Interval | None:
    return point.outcomes[0].infected if point.outcomes else None


def _values(points: list[PointSummary], path: str) -> set[str]:
    return {json.dumps(point.parameters[path], sort_keys=True) for point in points}


def _colours(material: Material, points: list[PointSummary]) -> str:
    """The parameter that colours tell: the first of the grid that takes several values."""
    return next((path for path in material.experiment.tasks.grid if len(_values(points, path)) > 1), "")


def _axes(material: Material, points: list[PointSummary], colours: str) -> dict[str, Callable[[PointSummary], float]]:
    """What goes on horizontal axes: R0 where it is known, and each parameter with enough numbers."""
    axes: dict[str, Callable[[PointSummary], float]] = {}
    if all("R0" in (point.derived or {}) for point in points):
        axes["R₀ without interventions"] = partial(_derived, name="R0")
    for path, name in material.names.items():
        numbers = all(_is_number(point.parameters[path]) for point in points)
        if path != colours and numbers and len(_values(points, path)) >= _FEWEST:
            unit = material.model.units.get(name)
            axes[name.replace("_", " ") + (f" ({unit})" if unit else "")] = partial(_parameter, path=path)
    return axes


def _grouped(points: list[PointSummary], path: str) -> dict[str, list[PointSummary]]:
    groups: dict[str, list[PointSummary]] = {}
    for point in points:
        groups.setdefault(short(point.parameters[path]) if path else "", []).append(point)
    if not path:
        return groups
    words = path.rpartition(".")[2].replace("_", " ")  # said once in the legend
    return {(value if position else f"{words} {value}"): same for position, (value, same) in enumerate(groups.items())}


def _derived(point: PointSummary, name: str) -> float:
    return float((point.derived or {})[name])


def _parameter(point: PointSummary, path: str) -> float:
    return float(point.parameters[path])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
