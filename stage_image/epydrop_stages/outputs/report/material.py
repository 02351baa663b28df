"""What the sections of the page are made from, and what they become."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from epydrop.experiment import Experiment
from epydrop_stages.contract.suite import Output, RunFacts
from epydrop_stages.outputs.quality.summary import Quality
from epydrop_stages.outputs.report.pictures import FOLDER, inline_path
from epydrop_stages.outputs.report.summaries import PointSummary, short

if TYPE_CHECKING:
    from epydrop_stages.outputs.report.figures.style import Drawing


@dataclass(frozen=True)
class Section:
    """One part of the page: a heading with an anchor, and a template with what it needs."""

    anchor: str
    title: str
    template: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """What the first point's suite said of its model, for all of them."""

    words: str = ""
    document: str = ""
    units: Mapping[str, str] = field(default_factory=dict)


class Album:
    """The figures that the page shows: their <svg>, and the files that go with it."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._names: dict[str, None] = {}

    def show(self, name: str) -> dict[str, str]:
        """A figure as the page's templates take it: its <svg>, and the path of its files without suffix."""
        self._names[name] = None
        return {"svg": inline_path(self._workspace, name).read_text(encoding="utf-8"), "file": FOLDER + name}

    def draw(self, name: str, words: str, drawing: Drawing) -> dict[str, str]:
        """Keeps a figure of the whole run, and shows it."""
        from epydrop_stages.outputs.report.figures.files import keep  # noqa: PLC0415 - matplotlib

        keep(self._workspace, name, words, drawing)
        return self.show(name)

    def outputs(self) -> list[Output]:
        """The files of all figures that were shown."""
        files = [f"{FOLDER}{name}.{suffix}" for name in self._names for suffix in ("png", "svg")]
        return [Output(name, self._workspace / name) for name in sorted(files)]


@dataclass
class Material:
    """All that is known when the last point was digested."""

    experiment: Experiment
    facts: RunFacts
    points: Sequence[PointSummary]
    quality: Quality
    model: Model
    album: Album

    @cached_property
    def _common(self) -> str:
        """What the names of several locations all begin with, up to an underscore: 'United_States_'."""
        names = list(self.facts.locations)
        shared = os.path.commonprefix(names) if len(names) > 1 else ""  # noqa: RUF071 - characters are meant
        return shared[: shared.rfind("_") + 1]

    def place(self, location: str) -> str:
        """A location as the page calls it."""
        return location.removeprefix(self._common).replace("_", " ")

    def label(self, point: PointSummary) -> str:
        """A point as the page calls it: its location, and what tells it from the others there."""
        values = ", ".join(
            f"{self.names.get(path, path).replace('_', ' ')} {short(value)}" for path, value in point.parameters.items()
        )
        if len(self.facts.locations) > 1 or not values:
            return f"{self.place(point.location)}: {values}" if values else self.place(point.location)
        return values

    @property
    def paths(self) -> list[str]:
        """The dotted paths of the varied parameters."""
        return list(self.facts.columns.parameters)

    @property
    def names(self) -> dict[str, str]:
        """The last part of each path, where that tells them apart."""
        last = [path.rpartition(".")[2] for path in self.paths]
        return {path: name if last.count(name) == 1 else path for path, name in zip(self.paths, last, strict=True)}

    @property
    def scenarios(self) -> list[str]:
        """The scenarios that are told apart; one without a name when there is only that."""
        return list(dict.fromkeys(outcome.scenario for point in self.points for outcome in point.outcomes))
