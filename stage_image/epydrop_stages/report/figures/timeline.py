"""When the tasks ran, and what they used: bars while they can be told apart, and how many at once when they cannot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from epydrop_stages.report.figures.style import BLACK, BLUE, GREEN, ORANGE, RED, Drawing
from epydrop_stages.results import Floats
from epydrop_stages.tries import Try

MOST_BARS = 60

_COLORS = {"builder": GREEN, "runner": BLUE, "output": ORANGE}
_UNITS = ((7200.0, 3600.0, "hours"), (300.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
_PLACES = 400  # moments at which tasks are counted; more would not be seen
_BAR, _WIDTH = 0.15, 11.6  # inches


def timeline_chart(tries: Sequence[Try]) -> Drawing:
    """One bar for each try, or the number of tasks at work over time; failed tries are marked."""
    began = min(each.started for each in tries)
    ended = max(each.started + each.wall for each in tries) - began
    _, seconds, unit = next(entry for entry in _UNITS if ended >= entry[0])
    few = len(tries) <= MOST_BARS

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        (_bars if few else _counts)(axes, tries, began, seconds)
        axes.set_xlabel(f"{unit} since the first task began")
        axes.set_xlim(0, ended / seconds * 1.01 or 1.0)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0), ncols=4) if few else axes.legend(loc="upper right")

    return Drawing(draw, (_WIDTH, max(1.6, 1.0 + _BAR * len(tries)) if few else 2.7))


def resources_chart(tries: Sequence[Try], memory_mib: int) -> Drawing:
    """How the tries of one stage differ in wall time, in use of the processor and in memory."""
    wall = np.array([each.wall for each in tries])
    busy = np.array([each.cpu / each.wall if each.wall > 0 else 0.0 for each in tries])
    peak = np.array([each.peak_mib for each in tries])

    def draw(figure: Figure) -> None:
        first, second, third = figure.subplots(1, 3)
        _histogram(first, wall, "wall time (s)")
        first.set_ylabel("tasks")
        _histogram(second, 100 * busy, "processor use (% of one core)")
        _histogram(third, peak, f"peak memory (MiB, of {memory_mib:,})")

    return Drawing(draw, (_WIDTH, 2.2))


def _bars(axes: Axes, tries: Sequence[Try], began: float, seconds: float) -> None:
    """The first to begin on top; a failed try is red and hatched."""
    told: set[str] = set()
    for row, each in enumerate(sorted(tries, key=lambda one: (one.started, one.index))):
        name = "failed" if each.failed else each.stage
        start, width = (each.started - began) / seconds, each.wall / seconds
        axes.barh(
            -row,
            width,
            left=start,
            height=0.72,
            color=RED if each.failed else _COLORS[each.stage],
            hatch="////" if each.failed else None,
            edgecolor="white" if each.failed else "none",
            linewidth=0,
            label=None if name in told else name,
        )
        told.add(name)
        axes.text(start + width, -row, f" {each.index}", va="center", fontsize=7, color=BLACK)
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.set_ylim(-len(tries), 1.8)


def _counts(axes: Axes, tries: Sequence[Try], began: float, seconds: float) -> None:
    """How many tasks of each stage were at work; marks below are the moments at which tries failed."""
    ended = max(each.started + each.wall for each in tries)
    moments = np.linspace(began, ended, _PLACES)
    for stage, color in _COLORS.items():
        same = [each for each in tries if each.stage == stage]
        if same:
            at_work = _at_work(same, moments)
            axes.fill_between(
                (moments - began) / seconds, at_work, step="mid", color=color, alpha=0.75, linewidth=0, label=stage
            )
    failed = [(each.started + each.wall - began) / seconds for each in tries if each.failed]
    if failed:
        axes.plot(failed, np.zeros(len(failed)), "x", color=RED, clip_on=False, markersize=6, mew=1.6, label="failed")
    axes.set_ylabel("tasks at work")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _at_work(tries: Sequence[Try], moments: Floats) -> Floats:
    """The most tasks at work at any instant between one moment and the next."""
    starts = np.sort([each.started for each in tries])
    ends = np.sort([each.started + each.wall for each in tries])
    step = moments[1] - moments[0] if len(moments) > 1 else 0.0
    begun = np.searchsorted(starts, moments + step / 2, side="right")
    return np.asarray(begun - np.searchsorted(ends, moments - step / 2, side="left"), dtype=float)


def _histogram(axes: Axes, values: Floats, label: str) -> None:
    axes.hist(values, bins=min(30, max(5, len(values) // 4)), color=BLUE, alpha=0.75)
    axes.axvline(float(np.median(values)), color=BLACK, linewidth=1.2)
    axes.set_xlabel(label)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(4))
