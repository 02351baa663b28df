"""The style of all figures, and their rendering: the same bytes for the same numbers, without fonts or links.

The colours of Okabe and Ito (2008, Color Universal Design) are distinguishable with all common kinds of colour
blindness; what matters differs in shape or line style as well.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from epydrop_stages.outputs.report.figures.svg import shortened, without_title

BLUE, ORANGE, GREEN, RED, PURPLE, SKY = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
BLACK, GREY, SOFT = ("#1a1a1a", "#8a8f98", "#5a616c")
SERIES = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)

DPI = 160

_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: smaller, searchable, and independent of installed fonts
    "svg.hashsalt": "epydrop",  # else ids are random, and the bytes differ from run to run
    "text.parse_math": False,  # a dollar sign in a name is text
    "font.size": 10,
    "axes.titlesize": 10,
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
    "legend.frameon": True,
    "legend.facecolor": "white",
    "legend.edgecolor": "none",
    "legend.fontsize": 9,
    "legend.handlelength": 1.6,
    "figure.facecolor": "white",
}
# A date would make the bytes differ from run to run.
_NO_METADATA: Any = {"Date": None, "Creator": None, "Format": None, "Type": None}

_TITLE_SIZE = 10.5  # points
_TITLE_HEIGHT = 0.27  # inches

Draw = Callable[[Figure], None]


@dataclass(frozen=True)
class Margins:
    """Inches around the axes. Fixed ones, because to find them from the texts takes longer than to draw."""

    left: float = 0.72
    right: float = 0.1
    bottom: float = 0.45
    top: float = 0.1


class Drawing:
    """One figure, rendered once. ``draw`` adds its content; ``size``: width and height in inches.

    ``title`` is shown in the files only: the page has headings of its own. Without ``margins`` the layout is found
    from the texts.
    """

    def __init__(
        self, draw: Draw, size: tuple[float, float], *, title: str = "", margins: Margins | None = None
    ) -> None:
        width, height = size
        self._strip = _TITLE_HEIGHT if title else 0.0
        with mpl.rc_context(_STYLE):
            # Not through pyplot, which keeps every figure in a global list.
            self._figure = figure = Figure(figsize=(width, height + self._strip))
            FigureCanvasAgg(figure)
            draw(figure)
            self._lay_out(margins)
            if title:
                place = 0.06 / width, 1.0 - 0.06 / (height + self._strip)
                figure.text(*place, title, va="top", fontsize=_TITLE_SIZE, color=BLACK, gid="title")

    def _lay_out(self, margins: Margins | None) -> None:
        figure = self._figure
        width, height = figure.get_size_inches()
        if margins:
            sides = {"left": margins.left / width, "right": 1.0 - margins.right / width}
            ends = {"bottom": margins.bottom / height, "top": 1.0 - (margins.top + self._strip) / height}
            figure.subplots_adjust(**sides, **ends)
            return
        figure.set_layout_engine("constrained", rect=(0.0, 0.0, 1.0, 1.0 - self._strip / height))
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # found once, and used for both SVG and PNG

    def inline(self) -> str:
        """The <svg> element for the page: without the title, as wide as its container."""
        return without_title(self._svg, self._strip * 72.0)

    def svg(self) -> str:
        """The <svg> element with the title."""
        return shortened(self._svg)

    def png(self) -> bytes:
        """A PNG with 160 dots per inch."""
        with mpl.rc_context(_STYLE):
            data = io.BytesIO()
            self._figure.savefig(data, format="png", dpi=DPI, metadata={"Software": None})
        return data.getvalue()

    @cached_property
    def _svg(self) -> str:
        with mpl.rc_context(_STYLE):
            text = io.StringIO()
            self._figure.savefig(text, format="svg", metadata=_NO_METADATA)
        return text.getvalue()


def bars(axes: Axes, ends: Sequence[tuple[float, float, float]], *, flat: bool = False, **style: Any) -> None:
    """Draws bars (place, low, high), horizontal if ``flat``; as one line with gaps, a tenth of the bytes of many."""
    places = [each for place, _, _ in ends for each in (place, place, math.nan)]  # nan interrupts the line
    values = [each for _, low, high in ends for each in (low, high, math.nan)]
    axes.plot(*((values, places) if flat else (places, values)), solid_capstyle="butt", **style)


def date_axis(axes: Axes, *, small: bool = False) -> None:
    """A few dates on the horizontal axis, each as short as its neighbours allow."""
    locator = AutoDateLocator(minticks=2, maxticks=3 if small else 7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=not small))  # type: ignore[no-untyped-call]


def count_axis(axes: Axes, *, small: bool = False) -> None:
    """A vertical axis of counts from zero: 1,000 as such, or 100k and 2M where the numbers would be long."""
    formatter = FuncFormatter(partial(_short_count, plain_below=1_000.0 if small else 100_000.0))
    axes.yaxis.set_major_formatter(formatter)
    axes.set_ylim(bottom=0)


def _short_count(value: float, _position: int | None = None, *, plain_below: float) -> str:
    if abs(value) < plain_below:
        return f"{value:,.10g}"
    return f"{value / 1e6:g}M" if abs(value) >= 1e6 else f"{value / 1e3:g}k"
