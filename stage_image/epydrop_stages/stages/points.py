"""Points: the tasks that belong together, and which of them are worth a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from epydrop.formats.index_set import IndexSet
from epydrop_stages.contract.suite import TaskLine

_ALL = 12  # up to here every point gets its pictures
_SOME = 6  # pictures of a sweep of one location
_MOST_LOCATIONS = 60


@dataclass(frozen=True)
class Point:
    """The tasks of one location and one set of parameters that have results: its chains."""

    lines: tuple[TaskLine, ...]

    @property
    def location(self) -> str:
        """Where it is."""
        return self.lines[0].key.location

    def __str__(self) -> str:
        first, last = self.lines[0].index, self.lines[-1].index
        return f"the result of task {first}" if first == last else f"the results of tasks {first} to {last}"


def points_of(lines: Iterable[TaskLine], missing: IndexSet) -> list[Point]:
    """The points in the order of their tasks, without those that have no result at all."""
    grouped = groupby(lines, key=lambda line: (line.key.location, line.key.parameters))
    there = (tuple(line for line in same if line.index not in missing) for _, same in grouped)
    return [Point(found) for found in there if found]


def drawn_of(points: Sequence[Point]) -> tuple[IndexSet, bool]:
    """The tasks of the points that get pictures, and whether so many that the page shows small ones.

    All of a few; else the first of each location; else, in a sweep of one location, some that lie evenly.
    """
    if len(points) <= _ALL:
        return _tasks(points), False
    firsts: dict[str, Point] = {}
    for point in points:
        firsts.setdefault(point.location, point)
    if len(firsts) > 1:
        chosen = list(firsts.values())[:_MOST_LOCATIONS]
        return _tasks(chosen), len(chosen) > _ALL
    step = (len(points) - 1) / (_SOME - 1)
    return _tasks([points[round(step * position)] for position in range(_SOME)]), False


def _tasks(points: Iterable[Point]) -> IndexSet:
    return IndexSet.of(line.index for point in points for line in point.lines)
