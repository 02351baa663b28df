"""What the tries of all tasks left behind: when, how long, how much. Read side by side, and no more than a bound.

A try that succeeded left telemetry, one that failed its error record; one that was killed from outside left nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from epydrop.formats.names import ERRORS, TELEMETRY
from epydrop.formats.serialization import UnknownFormat, from_json
from epydrop.formats.stage_records import ErrorRecord, Telemetry
from epydrop_stages.artifacts.metered_store import CountedStore
from epydrop_stages.contract.tries import Tries, Try

_MOST = 5000  # records read of each kind: ten seconds from a bucket


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
