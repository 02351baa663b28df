"""What the tries of all tasks left behind: when, how long, how much. Read side by side, and no more than a bound.

A try that succeeded left telemetry, one that failed its error record; one that was killed from outside left nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from epydrop.documents import UnknownFormat, from_json
from epydrop.names import ERRORS, TELEMETRY
from epydrop.records import ErrorRecord, Telemetry
from epydrop_stages.counted import CountedStore

_MOST = 5000  # records read of each kind: ten seconds from a bucket


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


def read_tries(store: CountedStore) -> Tries:
    """Every try, or 5,000 of each kind that lie evenly."""
    read: list[Try] = []
    found = 0
    for prefix, kind in ((TELEMETRY, Telemetry), (ERRORS, ErrorRecord)):
        names = [info.name for info in store.list(prefix) if _is_record(info.name)]
        found += len(names)
        chosen = list(_evenly(names))
        parsed = (_parsed(kind, data, name) for name, data in zip(chosen, store.read_each(chosen), strict=True))
        read += [each for each in parsed if each]
    return Tries(read, found)


def _is_record(name: str) -> bool:
    """Whether it is the record of a try, and not a list of refused results."""
    index, _, retry = name.rsplit("/", 1)[-1].removesuffix(".json").partition("-")
    return index.isdigit() and retry.isdigit()


def _evenly(names: Sequence[str]) -> Iterator[str]:
    step = max(1.0, len(names) / _MOST)
    return (names[int(position * step)] for position in range(min(len(names), _MOST)))


def _parsed(kind: type[Any], data: bytes | None, name: str) -> Try | None:
    """None for what another version wrote, or somebody removed: it is only missing from a picture."""
    if data is None:
        return None
    try:
        record = from_json(kind, data, name)
    except UnknownFormat:
        return None
    return Try(
        stage=str(record.stage),
        attempt=record.attempt,
        index=record.index,
        started=record.started,
        wall=record.wall_seconds,
        cpu=getattr(record, "cpu_seconds", 0.0),
        peak_mib=record.peak_memory_mib,
        failed=kind is ErrorRecord,
        skipped=getattr(record, "skipped", False),
    )
