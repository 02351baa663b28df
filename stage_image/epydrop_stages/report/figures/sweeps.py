"""What varied parameters change: the share infected of each point against one number of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from epydrop_stages.report.figures.style import SERIES, Drawing
from epydrop_stages.report.intervals import Interval

SIZE = (6.4, 3.5)
MOST_GROUPS = len(SERIES)

_MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Dots:
    """One colour: where each point lies, and its share infected."""

    name: str
    places: Sequence[float]
    infected: Sequence[Interval]


def sweep_chart(label: str, groups: Sequence[Dots], *, title: str = "") -> Drawing:
    """A mark and a 95 % bar for each point; groups differ in colour and shape."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for color, marker, group in zip(SERIES, _MARKERS, groups, strict=False):
            low, high = [each.low for each in group.infected], [each.high for each in group.infected]
            axes.vlines(group.places, low, high, color=color, alpha=0.35, linewidth=1.5)
            medians = [each.median for each in group.infected]
            axes.plot(group.places, medians, marker, color=color, markersize=5, mec="white", mew=0.7, label=group.name)
        axes.set_xlabel(label)
        axes.set_ylabel("infected (% of the population)")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
        axes.set_ylim(bottom=0)
        if title:
            axes.set_title(title)
        if len(groups) > 1:
            axes.legend(loc="best")

    return Drawing(draw, SIZE)
