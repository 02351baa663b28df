"""The report: one page that needs nothing but itself, readable for one task and for a sweep of hundreds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from epydrop.experiment import Experiment
from epydrop_stages.pools import Pool
from epydrop_stages.report import charts
from epydrop_stages.report.summaries import PointSummary, short, summarise
from epydrop_stages.suites import Output, RunFacts
from epydrop_stages.suites.epydemix.tasks import Config, parameter_names, points
from epydrop_stages.suites.epydemix.variables import parameter_units

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
            loader=PackageLoader("epydrop_stages.report"),
            autoescape=select_autoescape(),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(number=_number, count=_count, percent=_percent, short=short)
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
            "names": _short_names(self._paths),
            "derived": list(dict.fromkeys(name for point in self._points for name in point.derived)),
            "fans": [(point.label, [charts.fan_chart(fan) for fan in point.fans]) for point in some],
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
        """The share infected against R0 and each parameter with enough values; colours tell the first grid apart."""
        values = {path: {json.dumps(point.parameters[path]) for point in self._points} for path in self._paths}
        colours = next((path for path in self._experiment.tasks.grid if len(values[path]) > 1), None)
        groups = charts.grouped(self._points, colours)
        axes: dict[str, Callable[[PointSummary], float]] = {}
        if len(values) > 0 and all("R0" in point.derived for point in self._points):
            axes["R₀ without interventions"] = lambda point: point.derived["R0"]
        for path, name in _short_names(self._paths).items():
            if path != colours and len(values[path]) > 2 and all(_is_number(p.parameters[path]) for p in self._points):
                axes[name.replace("_", " ")] = partial(_parameter, path=path)
        return [charts.sweep_chart(label, of, groups) for label, of in axes.items()] if self._points else []


def _parameter(point: PointSummary, path: str) -> float:
    return float(point.parameters[path])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
    step = simulation.get("dt", 1)
    steps = "daily steps" if step == 1 else f"steps of {step} days"
    return f"{kind}, {simulation['start_date']} to {simulation['end_date']}, {steps}"


def _short_names(paths: Sequence[str]) -> dict[str, str]:
    """The last part of each path, where that tells them apart."""
    last = [path.rpartition(".")[2] for path in paths]
    return {path: name if last.count(name) == 1 else path for path, name in zip(paths, last, strict=True)}


def _number(value: float) -> str:
    """Three significant digits."""
    return _count(value) if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def _count(value: float) -> str:
    """A whole number, its thousands apart."""
    return f"{value:,.0f}".replace(",", "\u202f")


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
