"""Reads the records of all tries in parallel, up to a limit.

A try that succeeded left telemetry, one that failed an error record; one that was killed from outside left nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from epydrop.formats.names import ERRORS, TELEMETRY
from epydrop.formats.serialization import UnknownFormat, from_json
from epydrop.formats.stage_records import ErrorRecord, Telemetry
from epydrop_stages.artifacts.metered_store import MeteredStore
from epydrop_stages.contract.tries import Tries, Try

_MAX_RECORDS = 5000  # of each kind: about ten seconds from a bucket


def read_tries(store: MeteredStore) -> Tries:
    """All tries, or 5,000 evenly spaced ones of each kind."""
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
    """Whether this is the record of a try; a list of refused results is not."""
    index, _, retry = name.rsplit("/", 1)[-1].removesuffix(".json").partition("-")
    return index.isdigit() and retry.isdigit()


def _evenly(names: Sequence[str]) -> Iterator[str]:
    step = max(1.0, len(names) / _MAX_RECORDS)
    return (names[int(position * step)] for position in range(min(len(names), _MAX_RECORDS)))


def _parsed(kind: type[Any], data: bytes | None, name: str) -> Try | None:
    """None for a record of another version or one that was deleted: it is then missing from a figure, nothing else."""
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
