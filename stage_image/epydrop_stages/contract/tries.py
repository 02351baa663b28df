"""The tries of all tasks: when each ran, how long, and how much memory it used. A try is one execution of one task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Try:
    """One try of one task. ``started`` in seconds since 1970 (UTC), ``wall`` and ``cpu`` in seconds, memory in MiB.

    ``skipped``: a valid result existed already, so nothing was computed.
    """

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
    """The tries that were read, ordered by the name of their record, and ``found``, the number of records."""

    read: Sequence[Try] = ()
    found: int = 0

    @property
    def are_capped(self) -> bool:
        """Whether only an evenly spaced sample of the records was read."""
        return len(self.read) < self.found
