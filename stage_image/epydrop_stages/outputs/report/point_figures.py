"""Draws the figures of one point, in the worker that has its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from epydrop_stages.outputs.report.fan_data import Fan
from epydrop_stages.outputs.report.figure_files import PointFigure, safe_name, save_figure
from epydrop_stages.outputs.report.figures.fan_chart import fan_chart, small_fan
from epydrop_stages.outputs.report.figures.posteriors import posterior_chart
from epydrop_stages.outputs.report.posterior_estimates import Marginal

_IN_A_ROW = 3  # figures side by side on the page, which are drawn narrower


class PointFigures:
    """Saves the figures of one point. With ``small`` the page gets small ones; the files are always of full size.

    ``stem`` starts the names of the files, ``label`` the titles.
    """

    def __init__(self, workspace: Path, stem: str, label: str, *, small: bool) -> None:
        self._workspace = workspace
        self._stem = stem
        self._label = label
        self._small = small

    def fans(self, kind: str, fans: Sequence[Fan]) -> Iterator[PointFigure]:
        """One figure for each scenario, all with the same vertical axis."""
        top = max((fan.top for fan in fans), default=0.0)  # scenarios are there to be compared
        for fan in fans:
            title = f"{self._label}, {fan.scenario}" if fan.scenario else self._label
            figure = PointFigure(self._name(fan.scenario, "" if kind == "fan" else kind), kind, fan.scenario)
            drawing = fan_chart(fan, top=top, title=title, narrow=len(fans) == _IN_A_ROW)
            small = small_fan(fan, top=top) if self._small else None
            save_figure(self._workspace, figure.name, f"{title}: {fan.alt_text()}", drawing, small)
            yield figure

    def posteriors(self, marginals: Sequence[Marginal], units: Mapping[str, str]) -> Iterator[PointFigure]:
        """One figure for each parameter; ``units``: parameter -> its unit."""
        for marginal in marginals:
            estimate = marginal.estimate
            figure = PointFigure(self._name("posterior", estimate.name), "posterior")
            alt_text = (
                f"{self._label}: posterior of {estimate.name}, median {estimate.pooled.median:.3g}, 95 % interval "
                f"{estimate.pooled.low:.3g} to {estimate.pooled.high:.3g}, {len(estimate.chains)} chains"
            )
            drawing = posterior_chart(marginal, units.get(estimate.name, ""), title=self._label)
            save_figure(self._workspace, figure.name, alt_text, drawing)
            yield figure

    def _name(self, *parts: str) -> str:
        return "-".join([self._stem, *(safe_name(part) for part in parts if part)])
