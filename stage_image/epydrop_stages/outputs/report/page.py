"""The report: one page that needs nothing but itself, readable for one task and for a thousand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from epydrop.experiment import Experiment
from epydrop_stages.contract.suite import Output, RunFacts
from epydrop_stages.outputs.digests import PointDigest
from epydrop_stages.outputs.quality.summary import Quality
from epydrop_stages.outputs.report.material import Album, Material, Model
from epydrop_stages.outputs.report.sections import (
    estimates,
    findings,
    gallery,
    gaps,
    origin,
    outcomes,
    scores,
    sweeps,
    tasks,
)
from epydrop_stages.outputs.report.sections.headline import headline
from epydrop_stages.outputs.report.summaries import PointSummary, short
from epydrop_stages.outputs.report.words import FILTERS

_SECTIONS = (gaps, findings, gallery, scores, estimates, sweeps, outcomes, tasks, origin)
"""In the order of the page."""


class Report:
    """Takes one point after the other; what it keeps of each is small."""

    def __init__(self, experiment: Experiment, facts: RunFacts) -> None:
        self._experiment = experiment
        self._facts = facts
        self._points: list[PointSummary] = []
        self._model = Model()

    def add(self, digest: PointDigest) -> None:
        """One point."""
        if not self._points:
            self._model = Model(digest.words, digest.document, digest.units)
        self._points.append(digest.summary)

    def write(self, workspace: Path, quality: Quality) -> Iterator[Output]:
        """The page, and the files of the figures that it shows."""
        album = Album(workspace)
        material = Material(self._experiment, self._facts, self._points, quality, self._model, album)
        sections = [section for module in _SECTIONS if (section := module.section(material))]
        page = _environment(material).get_template("report.html.j2")
        text = page.render(
            facts=self._facts, model=self._model, sections=sections, many=len(self._points) > 1, **headline(material)
        )
        path = workspace / "report.html"
        path.write_text(text, encoding="utf-8")
        yield from album.outputs()
        yield Output(path.name, path)


def _environment(material: Material) -> Environment:
    environment = Environment(
        loader=PackageLoader("epydrop_stages.outputs.report"),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS, short=short, place=material.place)
    return environment
