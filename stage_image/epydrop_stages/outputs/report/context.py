"""What the sections of the page are made from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from epydrop.experiment import Experiment
from epydrop_stages.contract.suite import RunFacts
from epydrop_stages.outputs.quality.run_quality import RunQuality
from epydrop_stages.outputs.report.figure_files import PageFigures
from epydrop_stages.outputs.report.formatting import short
from epydrop_stages.outputs.report.point_summary import Model, PointSummary


@dataclass(frozen=True)
class Section:
    """One section of the page: its anchor, its heading, and its template with the data for it."""

    anchor: str
    title: str
    template: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class ReportContext:
    """Everything that a section may show."""

    experiment: Experiment
    facts: RunFacts
    points: Sequence[PointSummary]
    quality: RunQuality
    model: Model
    figures: PageFigures

    @cached_property
    def _common_prefix(self) -> str:
        """What the names of all locations start with, up to an underscore, such as 'United_States_'."""
        names = list(self.facts.locations)
        shared = os.path.commonprefix(names) if len(names) > 1 else ""  # noqa: RUF071 - by characters, not by folders
        # Up to an underscore, so that Alabama and Alaska do not become "bama" and "ska".
        return shared[: shared.rfind("_") + 1]

    def location_name(self, location: str) -> str:
        """A location as the page calls it: without the prefix that all share, and without underscores."""
        return location.removeprefix(self._common_prefix).replace("_", " ")

    def point_label(self, point: PointSummary) -> str:
        """A point as the page calls it: its location if there are several, and its parameters."""
        values = ", ".join(
            f"{self.names.get(path, path).replace('_', ' ')} {short(value)}" for path, value in point.parameters.items()
        )
        if len(self.facts.locations) > 1 or not values:
            name = self.location_name(point.location)
            return f"{name}: {values}" if values else name
        return values

    @property
    def paths(self) -> list[str]:
        """The dotted paths of the varied parameters."""
        return list(self.facts.columns.parameters)

    @property
    def names(self) -> dict[str, str]:
        """Path of a varied parameter -> its last part if that is unique, else the whole path."""
        last = [path.rpartition(".")[2] for path in self.paths]
        return {path: name if last.count(name) == 1 else path for path, name in zip(self.paths, last, strict=True)}

    @property
    def scenarios(self) -> list[str]:
        """The scenarios of all points; [""] if the experiment has none."""
        return list(dict.fromkeys(outcome.scenario for point in self.points for outcome in point.outcomes))
