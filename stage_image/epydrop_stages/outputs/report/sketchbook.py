"""Draws the pictures of one point, in the worker that has its results, and writes their files at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from epydrop_stages.outputs.report.curves import Fan
from epydrop_stages.outputs.report.figures.fans import fan_chart, small_fan
from epydrop_stages.outputs.report.figures.files import keep
from epydrop_stages.outputs.report.figures.posteriors import posterior_chart
from epydrop_stages.outputs.report.marginals import Marginal
from epydrop_stages.outputs.report.pictures import Picture, safe_name

_THREE = 3  # scenarios stand in one row of the page


class Sketchbook:
    """Takes the pictures of one point. ``small`` draws small ones for the page; the files are always large."""

    def __init__(self, workspace: Path, stem: str, label: str, *, small: bool) -> None:
        self._workspace = workspace
        self._stem = stem
        self._label = label
        self._small = small

    def fans(self, kind: str, fans: Sequence[Fan]) -> Iterator[Picture]:
        """One picture for each scenario, all with the same vertical axis."""
        top = max((fan.top for fan in fans), default=0.0)
        for fan in fans:
            title = f"{self._label}, {fan.scenario}" if fan.scenario else self._label
            picture = Picture(self._name(fan.scenario, "" if kind == "fan" else kind), kind, fan.scenario)
            whole = fan_chart(fan, top=top, title=title, narrow=len(fans) == _THREE)
            small = small_fan(fan, top=top) if self._small else None
            keep(self._workspace, picture.name, f"{title}: {fan.in_words()}", whole, small)
            yield picture

    def posteriors(self, marginals: Sequence[Marginal], units: Mapping[str, str]) -> Iterator[Picture]:
        """One picture for each parameter."""
        for marginal in marginals:
            estimate = marginal.estimate
            picture = Picture(self._name("posterior", estimate.name), "posterior")
            words = (
                f"{self._label}: posterior of {estimate.name}, median {estimate.pooled.median:.3g}, 95 % interval "
                f"{estimate.pooled.low:.3g} to {estimate.pooled.high:.3g}, {len(estimate.chains)} chains"
            )
            whole = posterior_chart(marginal, units.get(estimate.name, ""), title=self._label)
            keep(self._workspace, picture.name, words, whole)
            yield picture

    def _name(self, *parts: str) -> str:
        return "-".join([self._stem, *(safe_name(part) for part in parts if part)])
