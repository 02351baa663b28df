"""The report: one page that needs nothing but itself, readable for one task and for a sweep of hundreds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from epydrop.experiment import Experiment
from epydrop_stages import charts
from epydrop_stages.pools import Pool
from epydrop_stages.suites import Output, RunFacts
from epydrop_stages.suites.epydemix_tasks import Config, parameter_names, points
from epydrop_stages.suites.epydemix_variables import parameter_units
from epydrop_stages.summaries import PointSummary, short, summarise

_ALL = 12  # up to here every point gets its curves
_SOME = 6  # curves of a sweep of one location
_MAX_LOCATIONS = 60
_MAX_ROWS = 200


class Report:
    """Takes one point after the other; what it keeps of each is small."""

    def __init__(self, experiment: Experiment, facts: RunFacts) -> None:
        self._experiment = experiment
        self._facts = facts
        self._paths = parameter_names(experiment)
        self._configs = {_id(point.location, point.parameters): point.config for point in points(experiment)}
        self._shown = _shown([(point.location, _id(point.location, point.parameters)) for point in points(experiment)])
        self._points: list[PointSummary] = []

    def add(self, pool: Pool) -> None:
        """One point."""
        place = _id(pool.location, pool.parameters)
        self._points.append(summarise(pool, self._configs[place], with_curves=place in self._shown))

    def write(self, workspace: Path) -> Output:
        """The page."""
        environment = Environment(
            loader=PackageLoader("epydrop_stages"),
            autoescape=select_autoescape(),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(number=_number, percent=_percent, short=short)
        path = workspace / "report.html"
        page = environment.get_template("report.html.j2").render(self._page())
        path.write_text(page, encoding="utf-8")
        return Output(path.name, path)

    def _page(self) -> dict[str, Any]:
        some = [point for point in self._points if point.fans]
        calibrated = [point for point in self._points if point.marginals]
        base = next(iter(self._configs.values()))
        units = parameter_units(base)
        return {
            "experiment": self._experiment,
            "facts": self._facts,
            "dropped": _dropped(self._facts.run_id),
            "model": _model_words(base),
            "seeds": self._experiment.seed,
            "points": self._points[:_MAX_ROWS],
            "count": len(self._points),
            "paths": self._paths,
            "derived": list(dict.fromkeys(name for point in self._points for name in point.derived)),
            "fans": [[charts.fan_chart(fan, point.label) for fan in point.fans] for point in some],
            "all_shown": len(some) == len(self._points),
            "calibrated": calibrated[:_MAX_ROWS],
            "posteriors": [
                (point, [charts.posterior_chart(each, units.get(each.name, "")) for each in point.marginals])
                for point in calibrated
                if point.fans
            ],
            "units": units,
            "sweeps": self._sweeps(),
            "config": json.dumps(base, indent=1, ensure_ascii=False),
        }

    def _sweeps(self) -> list[str]:
        """A scatter for each parameter with more than two numbers; colours tell the first grid apart."""
        values = {path: {json.dumps(point.parameters[path]) for point in self._points} for path in self._paths}
        numeric = [
            path
            for path in self._paths
            if all(isinstance(point.parameters[path], int | float) for point in self._points)
        ]
        colours = next((path for path in self._experiment.tasks.grid if len(values[path]) > 1), None)
        return [
            charts.sweep_chart(
                self._points, path, charts.grouped(self._points, colours if colours != path else None)
            )
            for path in numeric
            if len(values[path]) > 2
        ]


def _id(location: str, parameters: Mapping[str, Any]) -> str:
    return json.dumps([location, dict(parameters)], sort_keys=True)


def _shown(places: list[tuple[str, str]]) -> set[str]:
    """The points that get curves: all of a few, else the first of each location, else some that lie evenly."""
    if len(places) <= _ALL:
        return {place for _, place in places}
    firsts: dict[str, str] = {}
    for location, place in places:
        firsts.setdefault(location, place)
    if len(firsts) > 1:
        return set(list(firsts.values())[:_MAX_LOCATIONS])
    step = (len(places) - 1) / (_SOME - 1)
    return {places[round(step * position)][1] for position in range(_SOME)}


def _dropped(run_id: str) -> str:
    """When the file was dropped: the run's id says so."""
    return f"{datetime.strptime(run_id[:15], '%Y%m%d-%H%M%S').replace(tzinfo=UTC):%d %B %Y, %H:%M} UTC"


def _model_words(config: Config) -> str:
    """The model in half a sentence."""
    simulation = config["simulation"]
    kind = config["model"].get("type", "custom")
    return f"{kind}, {simulation['start_date']} to {simulation['end_date']}, steps of {simulation.get('dt', 1)} days"


def _number(value: float) -> str:
    """Three significant digits, and thousands apart."""
    return f"{value:,.0f}".replace(",", "\u202f") if abs(value) >= 100 else f"{value:.3g}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
