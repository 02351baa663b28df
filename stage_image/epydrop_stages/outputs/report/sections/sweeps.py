"""The effect of the varied parameters: the share infected against each number that varies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from epydrop_stages.outputs.report.context import ReportContext, Section
from epydrop_stages.outputs.report.figure_files import safe_name
from epydrop_stages.outputs.report.formatting import short
from epydrop_stages.outputs.report.point_summary import PointSummary
from epydrop_stages.outputs.report.posterior_estimates import Interval

_FEWEST = 3  # different values; fewer show no trend


def section(context: ReportContext) -> Section | None:
    """None if no parameter has enough values, or the model does not name its infections."""
    points = [point for point in context.points if _infected(point)]
    if not context.paths or not points:
        return None
    figures = list(_figures(context, points))
    return Section("sweep", "Effect of the parameters", "sweeps.html.j2", {"figures": figures}) if figures else None


def _figures(context: ReportContext, points: Sequence[PointSummary]) -> Iterator[dict[str, Any]]:
    from epydrop_stages.outputs.report.figures.sweeps import MOST_GROUPS, Dots, sweep_chart  # noqa: PLC0415 - matplotlib

    coloured = _coloured_parameter(context, points)
    groups = _grouped(points, coloured)
    if len(groups) > MOST_GROUPS:  # more colours cannot be told apart
        groups = {"": points}
    for label, value_of in _axes(context, points, coloured).items():
        dots = [
            Dots(name, [value_of(point) for point in same], [each for point in same if (each := _infected(point))])
            for name, same in groups.items()
        ]
        drawing = sweep_chart(label, dots, title=context.facts.exp_id)
        alt_text = f"share of the population infected against {label}, {len(points)} points"
        yield context.figures.draw(safe_name(f"sweep-{label}"), alt_text, drawing)


def _infected(point: PointSummary) -> Interval | None:
    return point.outcomes[0].infected if point.outcomes else None


def _values(points: Sequence[PointSummary], path: str) -> set[str]:
    # As JSON, because a value may be a list, which cannot be in a set.
    return {json.dumps(point.parameters[path], sort_keys=True) for point in points}


def _coloured_parameter(context: ReportContext, points: Sequence[PointSummary]) -> str:
    """The parameter that the colours show: the first of the grid with several values."""
    return next((path for path in context.experiment.tasks.grid if len(_values(points, path)) > 1), "")


def _axes(
    context: ReportContext, points: Sequence[PointSummary], coloured: str
) -> dict[str, Callable[[PointSummary], float]]:
    """Label -> value of a point on the horizontal axis: R0 where known, and each number with enough values."""
    axes: dict[str, Callable[[PointSummary], float]] = {}
    if all("R0" in point.derived for point in points):
        axes["R₀ without interventions"] = partial(_derived, name="R0")
    for path, name in context.names.items():
        numbers = all(_is_number(point.parameters[path]) for point in points)
        if path != coloured and numbers and len(_values(points, path)) >= _FEWEST:
            unit = context.model.units.get(name)
            axes[name.replace("_", " ") + (f" ({unit})" if unit else "")] = partial(_parameter, path=path)
    return axes


def _grouped(points: Sequence[PointSummary], path: str) -> dict[str, Sequence[PointSummary]]:
    """Label in the legend -> the points of one colour; only the first label has the name of the parameter."""
    groups: dict[str, list[PointSummary]] = {}
    for point in points:
        groups.setdefault(short(point.parameters[path]) if path else "", []).append(point)
    name = path.rpartition(".")[2].replace("_", " ")
    return {
        (f"{name} {value}" if path and position == 0 else value): same
        for position, (value, same) in enumerate(groups.items())
    }


def _derived(point: PointSummary, name: str) -> float:
    return point.derived[name]


def _parameter(point: PointSummary, path: str) -> float:
    return float(point.parameters[path])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
