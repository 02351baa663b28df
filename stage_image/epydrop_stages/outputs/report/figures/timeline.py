"""When the tasks ran and what they used: a bar for each try if they are few, else the number running at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from epydrop_stages.contract.results import Floats
from epydrop_stages.contract.tries import Try
from epydrop_stages.outputs.report.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, RED, Drawing
from epydrop_stages.outputs.report.formatting import duration

MOST_BARS = 60

_COLORS = {"builder": GREEN, "runner": BLUE, "output": ORANGE}
# from how many seconds on, seconds in the unit, name
_UNITS = ((7200.0, 3600.0, "hours"), (300.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
_BINS = 300  # of time, in which running tasks are counted; more would not be visible
_BAR, _WIDTH = 0.15, 11.6  # inches


def timeline_chart(tries: Sequence[Try]) -> Drawing:
    """One bar for each try, or the number of running tasks over time; failed tries are marked."""
    tries, pauses = without_pauses(tries)
    ended = max(each.started + each.wall for each in tries)
    _, seconds, unit = next(entry for entry in _UNITS if ended >= entry[0])
    few = len(tries) <= MOST_BARS

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        (_bars if few else _counts)(axes, tries, seconds)
        for pause in pauses:
            _pause(axes, pause, seconds)
        axes.set_xlabel(f"{unit} since the first task started" + (", without pauses" if pauses else ""))
        axes.set_xlim(0, ended / seconds * 1.01 or 1.0)
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4)

    return Drawing(draw, (_WIDTH, max(1.6, 1.0 + _BAR * len(tries)) if few else 2.7))


@dataclass(frozen=True)
class Pause:
    """An idle time that was shortened, in seconds: its place and width on the axis, and its true length."""

    place: float
    width: float
    length: float


def without_pauses(tries: Sequence[Try]) -> tuple[list[Try], list[Pause]]:
    """The tries with their start in seconds since the first, and with long idle times shortened.

    A run may wait overnight for a retry, and its output may be made again a month later. To scale, all work would be a
    thin line. Pauses of more than a fiftieth of the working time are shortened to that.
    """
    ordered = sorted(tries, key=lambda each: each.started)
    busy, until = 0.0, ordered[0].started
    for each in ordered:
        busy += max(0.0, each.started + each.wall - max(until, each.started))
        until = max(until, each.started + each.wall)
    longest = max(1.0, busy / 50)  # at least a second, so that short runs keep their natural gaps
    shift, until = ordered[0].started, ordered[0].started
    moved, pauses = [], []
    for each in ordered:
        idle = each.started - until
        if idle > longest:
            pauses.append(Pause(until - shift, longest, idle))
            shift += idle - longest
        moved.append(replace(each, started=each.started - shift))
        until = max(until, each.started + each.wall)
    return moved, pauses


def resources_chart(tries: Sequence[Try], memory_mib: int) -> Drawing:
    """Histograms of wall time, processor use and peak memory of the tries of one stage."""
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


def _bars(axes: Axes, tries: Sequence[Try], seconds: float) -> None:
    """One bar for each try, the first to start on top; failed ones are red and hatched."""
    ordered = sorted(tries, key=lambda one: (one.started, one.index))
    for name in (*_COLORS, "failed"):
        rows = [row for row, each in enumerate(ordered) if name == ("failed" if each.failed else each.stage)]
        same = [ordered[row] for row in rows]
        if same:
            starts = [each.started / seconds for each in same]
            widths = [each.wall / seconds for each in same]
            axes.barh([-row for row in rows], widths, left=starts, height=0.72, label=name, **_bar_style(name))
    for row, each in enumerate(ordered):
        end = (each.started + each.wall) / seconds
        axes.text(end, -row, f" {each.index}", va="center", fontsize=7, color=BLACK)
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.set_ylim(-len(tries) + 0.2, 0.8)


def _pause(axes: Axes, pause: Pause, seconds: float) -> None:
    """A grey area labelled with its true length."""
    first, last = pause.place / seconds, (pause.place + pause.width) / seconds
    axes.axvspan(first, last, color=GREY, alpha=0.2, linewidth=0)
    axes.text(
        (first + last) / 2, 0.5, duration(pause.length), rotation=90, ha="center", va="center", fontsize=8,
        transform=axes.get_xaxis_transform(), bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def _bar_style(name: str) -> dict[str, Any]:
    if name == "failed":
        return {"color": RED, "hatch": "////", "edgecolor": "white", "linewidth": 0}
    return {"color": _COLORS[name]}


def _counts(axes: Axes, tries: Sequence[Try], seconds: float) -> None:
    """The number of running tasks of each stage; marks on the axis show when tries failed."""
    ended = max(each.started + each.wall for each in tries)
    edges = np.linspace(0.0, ended, _BINS + 1)
    for stage, color in _COLORS.items():
        same = [each for each in tries if each.stage == stage]
        if same:
            axes.stairs(_running(same, edges), edges / seconds, fill=True, color=color, alpha=0.75, label=stage)
    failed = [(each.started + each.wall) / seconds for each in tries if each.failed]
    if failed:
        axes.plot(failed, np.zeros(len(failed)), "x", color=RED, clip_on=False, markersize=6, mew=1.6, label="failed")
    axes.set_ylabel("running tasks")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _running(tries: Sequence[Try], edges: Floats) -> Floats:
    """The number of tasks that ran at any time between each edge and the next; shape (edges - 1,)."""
    # Started before the end of the interval, minus ended before its start: sorted, that takes two searches.
    starts = np.sort([each.started for each in tries])
    ends = np.sort([each.started + each.wall for each in tries])
    begun = np.searchsorted(starts, edges[1:], side="left")
    return np.asarray(begun - np.searchsorted(ends, edges[:-1], side="right"), dtype=float)


def _histogram(axes: Axes, values: Floats, label: str) -> None:
    axes.hist(values, bins=min(30, max(5, len(values) // 4)), color=BLUE, alpha=0.75)
    axes.axvline(float(np.median(values)), color=BLACK, linewidth=1.2)
    axes.set_xlabel(label)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(4))
