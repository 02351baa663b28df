"""Draws the pictures of one point, in the worker that has its results, and writes their files at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from epydrop_stages.report.curves import Fan
from epydrop_stages.report.figures.fans import fan_chart, small_fan
from epydrop_stages.report.figures.posteriors import posterior_chart
from epydrop_stages.report.figures.style import Drawing, described, standalone
from epydrop_stages.report.marginals import Marginal
from epydrop_stages.report.pictures import FOLDER, Picture, safe_name


class Sketchbook:
    """Where the pictures of one point go. ``is_one_of_many`` draws small ones for the page; files are always large."""

    def __init__(self, workspace: Path, stem: str, label: str, *, is_one_of_many: bool) -> None:
        self._folder = workspace / FOLDER
        self._folder.mkdir(exist_ok=True)
        self._stem = stem
        self._label = label
        self._many = is_one_of_many

    def fans(self, kind: str, fans: Sequence[Fan]) -> Iterator[Picture]:
        """One picture for each scenario, all with the same vertical axis."""
        top = max((fan.top for fan in fans), default=0.0)
        for fan in fans:
            what = [part for part in (kind if kind != "fan" else "", fan.scenario) if part]
            inline = small_fan(fan, top=top) if self._many else fan_chart(fan, top=top, title=fan.scenario)
            title = ", ".join([self._label, *([fan.scenario] if fan.scenario else [])])
            whole = fan_chart(fan, top=top, title=title)
            yield self._keep(kind, what, (inline, whole), fan.in_words(), fan.scenario)

    def posteriors(self, marginals: Sequence[Marginal], units: Mapping[str, str]) -> Iterator[Picture]:
        """One picture for each parameter."""
        for marginal in marginals:
            estimate, unit = marginal.estimate, units.get(marginal.estimate.name, "")
            words = (
                f"posterior of {estimate.name}: median {estimate.pooled.median:.3g}, 95 % interval "
                f"{estimate.pooled.low:.3g} to {estimate.pooled.high:.3g}, {len(estimate.chains)} chains"
            )
            drawings = posterior_chart(marginal, unit), posterior_chart(marginal, unit, title=self._label)
            yield self._keep("posterior", ["posterior", estimate.name], drawings, words, "")

    def _keep(
        self, kind: str, what: Sequence[str], drawings: tuple[Drawing, Drawing], words: str, scenario: str
    ) -> Picture:
        """Writes the <svg> for the page, and the two files of the whole figure."""
        inline, whole = drawings
        name = "-".join([self._stem, *map(safe_name, what)])
        words = f"{self._label}, {words}" if not scenario else f"{self._label}, {scenario}, {words}"
        kept = self._folder / f"{name}.inline"
        kept.write_text(described(inline.svg(), words), encoding="utf-8")
        (self._folder / f"{name}.svg").write_text(standalone(described(whole.svg(), words)), encoding="utf-8")
        (self._folder / f"{name}.png").write_bytes(whole.png())
        return Picture(name, kind, words, kept, scenario)
