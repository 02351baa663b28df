"""The tries of all tasks: when, how long, how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Try:
    """One try of one task. ``started`` in seconds since 1970, ``wall`` and ``cpu`` in seconds."""

    stage: str
    attempt: int
    index: int
    started: float
    wall: float
    cpu: float
    peak_mib: float
    failed: bool = False
    skipped: bool = False


@dataclass(frozen=True)
class Tries:
    """The tries that were read, in the order of their names, and how many records there are."""

    read: Sequence[Try] = ()
    found: int = 0

    @property
    def are_capped(self) -> bool:
        """Whether there are more than were read; those read lie evenly among all."""
        return len(self.read) < self.found
