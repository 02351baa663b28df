"""Runs and history entries with only what a test cares about spelled out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from epydrop.core.phases import Phase
from epydrop.core.run import Dropped, HistoryEntry, Plan, Run
from epydrop.formats.names import Stage
from epydrop.formats.orders import Resources

MOMENT = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


def a_run(number: int = 0, md5: str = "", **changes: object) -> Run:
    """The run of a file dropped ``number`` seconds after noon."""
    created = MOMENT + timedelta(seconds=number)
    given = {
        "run_id": f"{created:%Y%m%d-%H%M%S}-{number:08x}",
        "exp_id": "flu/w47",
        "run_url": "file:///data/flu/w47/",
        "dropped": Dropped("trigger", "experiments/flu/w47.yaml", number + 1, created, md5),
        "plan": Plan({stage: Resources(1000, 2000, 60, 4000) for stage in Stage}),
        "phase": Phase.BUILDER,
        "reason": "the file was dropped",
        "created": created,
        "updated": created,
        **changes,
    }
    return Run(**given)


def an_entry(serial: int = 0, **changes: object) -> HistoryEntry:
    """One line of a history."""
    given = {
        "serial": serial,
        "at": MOMENT + timedelta(seconds=serial),
        "event": {"kind": "FileDropped", "names": ["a", "b"]},
        "facts": {},
        "row": "dropped",
        "phase": Phase.BUILDER,
        "reason": "the file was dropped",
        "effects": ("submit:x",),
        **changes,
    }
    return HistoryEntry(**given)
