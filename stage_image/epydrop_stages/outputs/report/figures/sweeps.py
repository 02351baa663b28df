"""The share infected at each point against one of its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from epydrop_stages.outputs.report.figures.style import SERIES, Drawing, bars
from epydrop_stages.outputs.report.posterior_estimates import Interval

SIZE = (6.4, 3.5)
MOST_GROUPS = len(SERIES)

_MANY = 60  # marks; more are drawn smaller
_OFFSET = 0.006  # of the axis, between groups, so that equal values do not hide each other
_MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Dots:
    """The points of one colour: value on the horizontal axis, and share infected."""

    name: str
    places: Sequence[float]
    infected: Sequence[Interval]


def sweep_chart(label: str, groups: Sequence[Dots], *, title: str = "") -> Drawing:
    """A mark and a 95 % interval for each point; groups differ in colour and shape."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        many = sum(len(group.places) for group in groups) > _MANY
        every = [place for group in groups for place in group.places]
        offset = (max(every) - min(every)) * _OFFSET if len(groups) > 1 else 0.0
        for number, group in enumerate(groups):
            color, marker = SERIES[number], _MARKERS[number]
            places = np.array(group.places) + (number - (len(groups) - 1) / 2) * offset
            ends = [(place, each.low, each.high) for place, each in zip(places, group.infected, strict=True)]
            bars(axes, ends, color=color, alpha=0.25 if many else 0.4, linewidth=0.8 if many else 1.4)
            medians = [each.median for each in group.infected]
            size = 3.6 if many else 5
            axes.plot(places, medians, marker, color=color, markersize=size, mec="white", mew=0.5, label=group.name)
        axes.set_xlabel(label)
        axes.set_ylabel("infected (% of the population)")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
        axes.set_ylim(bottom=0)  # shares are compared by their height
        if len(groups) > 1:
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(groups), columnspacing=1.2)

    return Drawing(draw, SIZE, title=title)
