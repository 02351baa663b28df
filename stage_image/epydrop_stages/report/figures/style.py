"""How figures look, and how they become bytes: the same for the same numbers, no fonts and no links in them.

Colours are those of Okabe and Ito (2008, Color Universal Design), which people with any common colour blindness can
tell apart; what matters differs in shape or line as well.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

BLUE, ORANGE, GREEN, RED, PURPLE, SKY = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
BLACK, GREY, SOFT = ("#1a1a1a", "#8a8f98", "#5a616c")
SERIES = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1, 1, 1)), (0, (8, 2)), (0, (2, 2, 6, 2)))

DPI = 160

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "epydrop",
    "text.parse_math": False,  # a name with a dollar sign is a name
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": BLACK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": "#3d434c",
    "axes.labelsize": 9.5,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e8eaee",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 1.6,
    "figure.facecolor": "white",
}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_NO_METADATA: Any = {"Date": None, "Creator": None, "Format": None, "Type": None}

Draw = Callable[[Figure], None]


class Drawing:
    """One figure. ``draw`` fills it; ``size`` in inches decides how large the text is beside it."""

    def __init__(self, draw: Draw, size: tuple[float, float]) -> None:
        with mpl.rc_context(_STYLE):
            self._figure = Figure(figsize=size, layout="constrained")
            FigureCanvasAgg(self._figure)
            draw(self._figure)

    def svg(self) -> str:
        """As an <svg> element that fills the width it is given."""
        with mpl.rc_context(_STYLE):
            text = io.StringIO()
            self._figure.savefig(text, format="svg", metadata=_NO_METADATA)
        return _slim(text.getvalue())

    def png(self) -> bytes:
        """As a PNG of the drawing's size at 160 dots an inch."""
        with mpl.rc_context(_STYLE):
            data = io.BytesIO()
            self._figure.savefig(data, format="png", dpi=DPI, metadata={"Software": None})
        return data.getvalue()


def described(svg: str, words: str) -> str:
    """An <svg> that says what it shows to those who do not see it."""
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(words, quote=True)}"', 1)


def standalone(svg: str) -> str:
    """An <svg> element as a file of its own."""
    return f'<?xml version="1.0" encoding="utf-8"?>\n{svg}\n'


def date_axis(axes: Axes, *, small: bool = False) -> None:
    """Few dates on the lower axis, each as short as its neighbours allow."""
    locator = AutoDateLocator(minticks=2, maxticks=3 if small else 7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=not small))  # type: ignore[no-untyped-call]


def count_axis(axes: Axes) -> None:
    """Numbers with their thousands apart, from zero up."""
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    axes.set_ylim(bottom=0)


def _slim(svg: str) -> str:
    """Without what a page does not need: fixed size, ids that repeat from figure to figure, hundredths of a point."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"(font: [^;\"']*?\d+(?:\.\d+)?px)[^;\"]*", rf"\1 {_FONT}", svg)
    svg = re.sub(r'(\sd=")([^"]*)"', lambda path: path[1] + re.sub(r"(\.\d)\d+", r"\1", path[2]) + '"', svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    return re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r' height="[^"]*pt"', "", svg, count=1), count=1)
