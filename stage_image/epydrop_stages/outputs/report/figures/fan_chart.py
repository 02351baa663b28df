"""Fan charts: median and 50, 80 and 95 % bands, the observations, and where the forecast begins."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from epydrop_stages.outputs.report.fan_data import MEDIAN, Fan
from epydrop_stages.outputs.report.figures.style import (
    BLACK,
    BLUE,
    GREY,
    RED,
    SOFT,
    Drawing,
    Margins,
    count_axis,
    date_axis,
)

SIZE, NARROW = (6.4, 3.5), (4.6, 3.1)
SMALL = (2.9, 1.6)

_SMALL_MARGINS = Margins(left=0.42, right=0.05, bottom=0.22, top=0.06)

# positions of the lower and the upper level among the levels of a fan, opacity, label
_BANDS = ((0, 6, 0.16, "95 %"), (1, 5, 0.24, "80 %"), (2, 4, 0.36, "50 %"))


def fan_chart(fan: Fan, *, top: float, title: str = "", narrow: bool = False) -> Drawing:
    """A chart of full size. ``top``: the end of the vertical axis, the same for charts that are to be compared.

    ``narrow``: one of three in a row.
    """

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        _bands(axes, fan, labels=True)
        _points(axes, fan, size=5.0)
        _axes(axes, top)
        axes.set_ylabel(fan.label)
        axes.legend(loc="upper left" if _is_late(fan) else "upper right", ncols=1)

    return Drawing(draw, NARROW if narrow else SIZE, title=title, margins=Margins())


def small_fan(fan: Fan, *, top: float) -> Drawing:
    """A small chart for a grid of many: no legend, no labels, a few ticks."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        _bands(axes, fan, labels=False)
        _points(axes, fan, size=3.0)
        _axes(axes, top, small=True)
        axes.tick_params(labelsize=8, length=2, pad=2)
        axes.yaxis.set_major_locator(MaxNLocator(3))

    return Drawing(draw, SMALL, margins=_SMALL_MARGINS)


def _bands(axes: Axes, fan: Fan, *, labels: bool) -> None:
    """The fitted period in grey, the forecast in blue; all in blue if only one of them is shown."""
    start = fan.start
    if start is None or not fan.dates[0] < start < fan.dates[-1]:
        _band(axes, fan, np.ones(len(fan.dates), dtype=bool), BLUE, labels=labels)
        return
    # Both include the last fitted date, so that no gap is left between them.
    _band(axes, fan, fan.dates <= start, GREY, labels=False)
    _band(axes, fan, fan.dates >= start, BLUE, labels=labels)
    axes.axvline(start, color=SOFT, linewidth=1.0, linestyle=(0, (3, 2)))  # type: ignore[arg-type]


def _band(axes: Axes, fan: Fan, shown: Any, color: str, *, labels: bool) -> None:
    dates, bands = fan.dates[shown], fan.bands[:, shown]
    for low, high, alpha, name in _BANDS:
        label = name if labels else None
        axes.fill_between(dates, bands[low], bands[high], color=color, alpha=alpha, linewidth=0, label=label)
    axes.plot(dates, bands[MEDIAN], color=color, linewidth=1.8, label="median" if labels else None)


def _points(axes: Axes, fan: Fan, *, size: float) -> None:
    """Filled circles for fitted observations, open diamonds for those held back."""
    if fan.observed is None:
        return
    dates, values = fan.observed.dates.astype("datetime64[D]"), fan.observed.values
    shown = (dates >= fan.dates[0]) & (dates <= fan.dates[-1])
    fitted, held = shown & fan.observed.fitted, shown & ~fan.observed.fitted
    edge = size / 8
    style: Any = {"linestyle": "none", "markersize": size}
    if fitted.any():
        label = "fitted" if held.any() else "observed"
        axes.plot(dates[fitted], values[fitted], marker="o", color=BLACK, mec="white", mew=edge, label=label, **style)
    if held.any():
        axes.plot(
            dates[held], values[held], marker="D", mfc="white", mec=RED, mew=2.2 * edge, label="held back", **style
        )


def _axes(axes: Axes, top: float, *, small: bool = False) -> None:
    axes.margins(x=0.015)
    date_axis(axes, small=small)
    count_axis(axes, small=small)
    axes.set_ylim(0, top * 1.05 if top > 0 else 1.0)  # an empty range would make matplotlib warn


def _is_late(fan: Fan) -> bool:
    """Whether the curve is higher in the right half, so that the legend has room on the left."""
    half = max(1, len(fan.dates) // 2)
    return bool(fan.bands[-1, :half].max() < fan.bands[-1, half:].max(initial=0.0))
