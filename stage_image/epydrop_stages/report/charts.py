"""Charts as SVG text to stand inside a page: the same bytes for the same numbers, no fonts and no links in them.

Colours are those of Okabe and Ito (2008), which people with any common colour blindness can tell apart.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from epydrop_stages.report.summaries import Fan, Marginal, PointSummary, short

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#1a1a1a",
    "#8a8f98",
)
_SERIES = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY)
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": "#3d434c",
    "xtick.color": "#5a616c",
    "ytick.color": "#5a616c",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e8eaee",
    "legend.frameon": False,
    "legend.fontsize": 9,
}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def fan_chart(fan: Fan) -> str:
    """Median, the middle half and 95 %, and the observed points."""
    color = BLUE if fan.unit == "people" else RED

    def draw(axes: Axes) -> None:
        low, lower, median, upper, high = fan.bands
        axes.fill_between(fan.dates, low, high, color=color, alpha=0.16, linewidth=0, label="95 %")
        axes.fill_between(fan.dates, lower, upper, color=color, alpha=0.34, linewidth=0, label="50 %")
        axes.plot(fan.dates, median, color=color, linewidth=1.8, label="median")
        if fan.observed is not None:
            dates = fan.dates[: len(fan.observed)]
            axes.plot(dates, fan.observed, "o", color=BLACK, markersize=4.5, markeredgecolor="white", label="observed")
        axes.set_ylabel(f"{fan.variable} ({fan.unit})")
        axes.set_ylim(bottom=0)
        axes.margins(x=0.01)
        locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
        is_late = np.argmax(high) > len(high) / 2
        axes.legend(loc="upper left" if is_late else "upper right")

    return _svg(draw, (5.6, 3.1))


def posterior_chart(marginal: Marginal, unit: str) -> str:
    """The weighted histogram of the particles, and the prior's density as a line."""

    def draw(axes: Axes) -> None:
        low, high = np.min(marginal.values), np.max(marginal.values)
        bins = np.linspace(low, high, 17) if high > low else np.array([low - 0.5, low + 0.5])
        axes.hist(marginal.values, bins=bins.tolist(), weights=marginal.weights, density=True, color=SKY, alpha=0.75)
        axes.axvline(marginal.interval.median, color=BLUE, linewidth=1.8, label="median")
        axes.axvspan(marginal.interval.low, marginal.interval.high, color=BLUE, alpha=0.08, linewidth=0, label="95 %")
        if marginal.prior is not None:
            places, density = marginal.prior
            axes.plot(places, density, color=RED, linewidth=1.5, linestyle="--", label="prior")
        name = marginal.name.replace("R0", "R₀").replace("_", " ")
        axes.set_xlabel(f"{name} ({unit})" if unit else name)
        axes.set_ylabel("density")
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.legend(loc="upper right")

    return _svg(draw, (4.0, 2.7))


def sweep_chart(label: str, of: Callable[[PointSummary], float], groups: dict[str, Sequence[PointSummary]]) -> str:
    """The share infected against a number ``of`` each point, a dot and a 95 % bar for each; one colour a group."""

    def draw(axes: Axes) -> None:
        for color, (name, members) in zip(_SERIES, groups.items(), strict=False):
            x = [of(member) for member in members]
            y = np.array([[p.attack.low, p.attack.median, p.attack.high] for p in members])
            axes.vlines(x, y[:, 0], y[:, 2], color=color, alpha=0.35, linewidth=1.5)
            axes.plot(x, y[:, 1], "o", color=color, markersize=5, markeredgecolor="white", label=name)
        axes.set_xlabel(label)
        axes.set_ylabel("share infected (% of population)")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
        axes.set_ylim(bottom=0)
        if len(groups) > 1:
            axes.legend(loc="best")

    return _svg(draw, (5.6, 3.3))


def grouped(points: Sequence[PointSummary], path: str | None) -> dict[str, Sequence[PointSummary]]:
    """The points by the value of a parameter, in one group if there is none; at most as many as there are colours."""
    groups: dict[str, list[PointSummary]] = {}
    for point in points:
        name = f"{path.rpartition('.')[2].replace('_', ' ')} {short(point.parameters[path])}" if path else ""
        groups.setdefault(name, []).append(point)
    return dict(groups) if len(groups) <= len(_SERIES) else {"": points}


def _svg(draw: Callable[[Axes], None], size: tuple[float, float]) -> str:
    """A figure as an <svg> element that fills the width it is given."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": "epydrop"}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata=_NO_METADATA)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # these repeat from chart to chart, and nothing refers to them
    svg = re.sub(r"(font: [^;\"']*?\d+(?:\.\d+)?px)[^;\"]*", rf"\1 {_FONT}", svg)
    return re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r' height="[^"]*pt"', "", svg, count=1), count=1)


_NO_METADATA: Any = {"Date": None, "Creator": None, "Format": None, "Type": None}
