"""Groups tasks into points, and chooses the points that get figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from epydrop.formats.index_set import IndexSet
from epydrop_stages.contract.suite import TaskLine

# A page with more figures than these is not read to its end, and each figure takes a second to draw.
_ALL = 12  # up to this number of points all get figures
_SOME = 6  # points with figures in a sweep of one location
_MAX_LOCATIONS = 60


@dataclass(frozen=True)
class Point:
    """The tasks with results of one location and one set of parameters: its chains."""

    lines: tuple[TaskLine, ...]

    @property
    def location(self) -> str:
        """The location of its tasks."""
        return self.lines[0].key.location

    def __str__(self) -> str:
        first, last = self.lines[0].index, self.lines[-1].index
        return f"the result of task {first}" if first == last else f"the results of tasks {first} to {last}"


def points_of(lines: Iterable[TaskLine], missing: IndexSet) -> list[Point]:
    """The points in the order of their tasks, without ``missing`` tasks and points without any result."""
    # Neighbours only: the builder orders tasks by location and point.
    grouped = groupby(lines, key=lambda line: (line.key.location, line.key.parameters))
    there = (tuple(line for line in same if line.index not in missing) for _, same in grouped)
    return [Point(found) for found in there if found]


def drawn_of(points: Sequence[Point]) -> tuple[IndexSet, bool]:
    """The tasks of the points that get figures, and whether there are so many that the page shows small ones.

    With few points, all; with several locations, the first point of each; in a sweep of one location, some at equal
    distances.
    """
    if len(points) <= _ALL:
        return _tasks(points), False
    firsts: dict[str, Point] = {}
    for point in points:
        firsts.setdefault(point.location, point)
    if len(firsts) > 1:
        chosen = list(firsts.values())[:_MAX_LOCATIONS]
        return _tasks(chosen), len(chosen) > _ALL
    step = (len(points) - 1) / (_SOME - 1)
    return _tasks([points[round(step * position)] for position in range(_SOME)]), False


def _tasks(points: Iterable[Point]) -> IndexSet:
    return IndexSet.of(line.index for point in points for line in point.lines)
