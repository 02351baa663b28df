"""How figures look, and how they become bytes: the same for the same numbers, no fonts and no links in them.

Colours are those of Okabe and Ito (2008, Color Universal Design), which people with any common colour blindness can
tell apart; what matters differs in shape or line as well.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, StrMethodFormatter
from matplotlib.transforms import Bbox

from epydrop_stages.report.figures.slim import slim

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
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 1.6,
    "figure.facecolor": "white",
}
_NO_METADATA: Any = {"Date": None, "Creator": None, "Format": None, "Type": None}

_TITLE = 10.5  # points
_ROOM = 0.04  # inches above what is left of a figure without its title

Draw = Callable[[Figure], None]


class Drawing:
    """One figure. ``draw`` fills it; ``size`` in inches decides how large the text is beside it.

    ``title`` stands in the files only: a page has its own headings. ``margins`` (shares of the figure, as
    matplotlib's ``subplots_adjust`` takes them) make figures in a grid line up, else the text decides them.
    """

    def __init__(
        self, draw: Draw, size: tuple[float, float], *, title: str = "", margins: Mapping[str, float] | None = None
    ) -> None:
        with mpl.rc_context(_STYLE):
            self._figure = figure = Figure(figsize=size, layout=None if margins else "constrained")
            FigureCanvasAgg(figure)
            draw(figure)
            self._title = figure.suptitle(title, x=0.01, ha="left", fontsize=_TITLE) if title else None
            if margins:
                figure.subplots_adjust(**margins)
            else:
                figure.draw_without_rendering()
                figure.set_layout_engine("none")  # found once, for all that is written of it

    def inline(self) -> str:
        """As an <svg> element without a title, which fills the width it is given."""
        with mpl.rc_context(_STYLE):
            if self._title is None:
                return self._svg(None)
            self._title.set_visible(False)
            width = self._figure.get_figwidth()
            top = self._figure.get_tightbbox().y1 + _ROOM
            svg = self._svg(Bbox([[0.0, 0.0], [width, top]]))
            self._title.set_visible(True)
            return svg

    def svg(self) -> str:
        """As an <svg> element with its title."""
        with mpl.rc_context(_STYLE):
            return self._svg(None)

    def png(self) -> bytes:
        """As a PNG at 160 dots an inch."""
        with mpl.rc_context(_STYLE):
            data = io.BytesIO()
            self._figure.savefig(data, format="png", dpi=DPI, metadata={"Software": None})
        return data.getvalue()

    def _svg(self, part: Bbox | None) -> str:
        text = io.StringIO()
        self._figure.savefig(text, format="svg", metadata=_NO_METADATA, bbox_inches=part)
        return slim(text.getvalue())


def bars(axes: Axes, ends: Sequence[tuple[float, float, float]], *, flat: bool = False, **style: Any) -> None:
    """Bars (place, low, high) as one artist, which is a tenth of the bytes of one for each; ``flat`` ones lie."""
    places = [each for place, _, _ in ends for each in (place, place, math.nan)]
    values = [each for _, low, high in ends for each in (low, high, math.nan)]
    axes.plot(*((values, places) if flat else (places, values)), solid_capstyle="butt", **style)


def date_axis(axes: Axes, *, small: bool = False) -> None:
    """Few dates on the lower axis, each as short as its neighbours allow."""
    locator = AutoDateLocator(minticks=2, maxticks=3 if small else 7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=not small))  # type: ignore[no-untyped-call]


def count_axis(axes: Axes, *, small: bool = False) -> None:
    """Numbers with their thousands apart, from zero up; in small figures thousands are told as k, millions as M."""
    axes.yaxis.set_major_formatter(FuncFormatter(_short_count) if small else StrMethodFormatter("{x:,.10g}"))
    axes.set_ylim(bottom=0)


def _short_count(value: float, _position: int | None = None) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * size or (abs(value) >= size and value % (size / 10) == 0):
            return f"{value / size:g}{letter}"
    return f"{value:g}"
