"""Replays a run: each decision of its history made again by today's ``decide``, and what differs.

Pure. A recording is a run with its history in one file, to be replayed on another machine.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import PurePath
from typing import Any, ClassVar

from epydrop import __version__
from epydrop.core.decide import Decision, decide
from epydrop.core.run import HistoryEntry, Run
from epydrop.formats.serialization import to_document
from epydrop.service.history import event_of, facts_of, run_after


@dataclass(frozen=True)
class Recording:
    """A run as it is stored, its history, and the version of epydrop that wrote the file."""

    FORMAT: ClassVar[int] = 1
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    run: Run
    history: tuple[HistoryEntry, ...]
    version: str = __version__
    format: int = 1


@dataclass(frozen=True)
class Difference:
    """A value that a decision had then and does not have now; ``what`` names it, for example 'run.tasks'."""

    what: str
    then: object
    now: object


@dataclass(frozen=True)
class Replayed:
    """An entry and today's decision, or why there is none: ``unrecorded`` names what the history lacks."""

    entry: HistoryEntry
    decision: Decision | None = None
    differences: tuple[Difference, ...] = ()
    unrecorded: str = ""


@dataclass(frozen=True)
class Replay:
    """A replayed history. ``loose_ends``: where the stored run differs from the one that the history leads to."""

    decisions: tuple[Replayed, ...]
    loose_ends: tuple[Difference, ...] = ()

    @property
    def differing(self) -> int:
        """The number of decisions that differ."""
        return sum(bool(replayed.differences) for replayed in self.decisions)

    @property
    def unrecorded(self) -> int:
        """The number of decisions that cannot be repeated."""
        return sum(bool(replayed.unrecorded) for replayed in self.decisions)


def replay(run: Run, history: Iterable[HistoryEntry]) -> Replay:
    """Every decision of the history made again, each from the run and the facts that it was made from then.

    An entry that came while the run was being read is left out. Raises UnknownFormat for a damaged history.
    """
    walk = _Walk()
    decisions = tuple(walk.past(entry) for entry in history if entry.serial <= run.serial)
    loose_ends: tuple[Difference, ...] = ()
    if not walk.lost and walk.run != run:
        loose_ends = tuple(_run_differences(walk.run, run))
    return Replay(decisions, loose_ends)


class _Walk:
    """The run on its way through its history. ``lost``: why it is not known what it was at this point."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.lost = ""
        self._serial = 0

    def past(self, entry: HistoryEntry) -> Replayed:
        """The entry, replayed; afterwards the run is as the entry left it."""
        if entry.serial != self._serial + 1:
            self._lose(f"entry {self._serial + 1} is not there")
        self._serial = entry.serial
        before, lost = self.run, self.lost
        if entry.changes is None:
            self._lose(f"entry {entry.serial} does not say how the run changed")
        if not self.lost:
            self.run = run_after(before, entry)
        if why := _why_unrecorded(entry) or lost or self.lost:
            return Replayed(entry, unrecorded=why)
        return _decided_again(before, entry, self.run)

    def _lose(self, why: str) -> None:
        self.lost = self.lost or f"the run before this entry is not known: {why}"
        self.run = None


def _why_unrecorded(entry: HistoryEntry) -> str:
    if entry.is_cut is None:
        return "the version of epydrop that wrote this entry did not keep enough of it"
    if entry.changes is None:
        return "the change of the run was too long to keep"
    return "the facts were too long to keep" if entry.is_cut else ""


def _decided_again(before: Run | None, entry: HistoryEntry, after: Run | None) -> Replayed:
    event, facts = event_of(entry), facts_of(entry)
    try:
        decision = decide(before, event, facts, entry.at)
    except Exception as error:  # noqa: BLE001 - whatever it raises is what a bug report is about
        return Replayed(entry, differences=(Difference("decision", entry.row, f"raises {_described(error)}"),))
    return Replayed(entry, decision, tuple(_differences(entry, after, decision)))


def _described(error: Exception) -> str:
    """The error, and the line that raised it."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{error!r} ({PurePath(place.filename).name}:{place.lineno})"


def _differences(entry: HistoryEntry, after: Run | None, decision: Decision) -> Iterator[Difference]:
    effects = tuple(effect.id for effect in decision.effects)
    for what, then, now in (
        ("row", entry.row, decision.row),
        ("reason", entry.reason, decision.reason),
        ("effects", entry.effects, effects),
    ):
        if then != now:
            yield Difference(what, then, now)
    if not decision.changed:
        yield Difference("run", "changed", "not changed")
    elif decision.run != after:
        said = entry.reason != decision.reason  # the run repeats it
        yield from (each for each in _run_differences(after, decision.run) if each.what != "run.reason" or not said)


def _run_differences(then: Run | None, now: Run) -> Iterator[Difference]:
    return _places(then and to_document(then), to_document(now), "run")


def _places(then: Any, now: Any, name: str) -> Iterator[Difference]:
    """The smallest places that differ; None stands for what one side does not have."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in {**then, **now}:
            yield from _places(then.get(key), now.get(key), f"{name}.{key}")
    elif isinstance(then, list) and isinstance(now, list):
        for position, (before, after) in enumerate(zip_longest(then, now)):
            yield from _places(before, after, f"{name}[{position}]")
    elif then != now:
        yield Difference(name, then, now)
