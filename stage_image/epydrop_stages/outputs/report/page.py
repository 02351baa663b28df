"""The report: one HTML page without external files, readable for one task and for a thousand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from epydrop.experiment import Experiment
from epydrop_stages.contract.suite import Output, RunFacts
from epydrop_stages.outputs.quality.run_quality import RunQuality
from epydrop_stages.outputs.report.context import ReportContext
from epydrop_stages.outputs.report.figure_files import PageFigures
from epydrop_stages.outputs.report.formatting import FILTERS
from epydrop_stages.outputs.report.point_summary import Model, PointSummary
from epydrop_stages.outputs.report.sections import (
    curves,
    estimates,
    missing,
    outcomes,
    provenance,
    quality,
    scores,
    sweeps,
    tasks,
)
from epydrop_stages.outputs.report.sections.headline import headline

_SECTIONS = (missing, quality, curves, scores, estimates, sweeps, outcomes, tasks, provenance)
"""In the order of the page. Each has ``section(context)``, which returns None if it has nothing to show."""


class Report:
    """Collects the summaries of the points and writes the page."""

    def __init__(self, experiment: Experiment, facts: RunFacts) -> None:
        self._experiment = experiment
        self._facts = facts
        self._points: list[PointSummary] = []
        self._model = Model()

    def add(self, point: PointSummary, model: Model) -> None:
        """Adds one point, in the order of the tasks.

        Only the model of the first is kept: the others differ in a few values, and a thousand documents take memory.
        """
        if not self._points:
            self._model = model
        self._points.append(point)

    def write(self, workspace: Path, found: RunQuality) -> Iterator[Output]:
        """Yields the files of the figures that the page shows, then the page."""
        figures = PageFigures(workspace)
        context = ReportContext(self._experiment, self._facts, self._points, found, self._model, figures)
        sections = [section for module in _SECTIONS if (section := module.section(context))]
        page = environment(location_name=context.location_name).get_template("report.html.j2")
        text = page.render(facts=self._facts, model=self._model, sections=sections, **headline(context))
        path = workspace / "report.html"
        path.write_text(text, encoding="utf-8")
        yield from figures.outputs()
        yield Output(path.name, path)


def environment(**filters: object) -> Environment:
    """The templates with their filters. Everything is escaped, and a misspelled name is an error."""
    found = Environment(
        loader=PackageLoader("epydrop_stages.outputs.report"),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,  # by default jinja prints nothing for it
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(FILTERS, **filters)
    return found
