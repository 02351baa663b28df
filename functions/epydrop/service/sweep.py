"""The scheduled sweep: a check of every unfinished run and, once an hour, a search for files whose event was lost.

Each is published as a message of its own, so that one bad run or file never blocks another.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from epydrop.core.events import SweepRequested
from epydrop.core.run import Dropped
from epydrop.formats import names
from epydrop.formats.serialization import UnknownFormat
from epydrop.service.world import World
from epydrop.stores.port import ObjectInfo

LOOK_FROM = timedelta(minutes=10)  # the event of a younger file may still arrive
LOOK_BACK = timedelta(hours=48)  # an older file was probably left there on purpose
EVERY_MINUTES = 5  # the schedule's period, so exactly one sweep falls into the first five minutes of an hour


def sweep(event: SweepRequested, world: World) -> None:
    """Publish the checks page by page, and once an hour the files without a run."""
    for run_id in world.runs.unfinished():
        world.publisher.publish("kicks", {"check": run_id})
    if event.published is not None and event.published.minute < EVERY_MINUTES:
        for info in _lost_files(world):
            world.publisher.publish("kicks", {"found": _as_resource(info, world.settings.trigger_bucket)})


def _lost_files(world: World) -> Iterator[ObjectInfo]:
    """Recently dropped experiments without a run."""
    now = world.now()
    for info in world.trigger.list(names.EXPERIMENTS):
        is_due = max(now - LOOK_BACK, world.settings.accept_from) < info.created < now - LOOK_FROM
        if is_due and info.size and info.name.endswith(names.EXPERIMENT_SUFFIXES) and not _has_run(info, world):
            yield info


def _has_run(info: ObjectInfo, world: World) -> bool:
    dropped = Dropped(world.settings.trigger_bucket, info.name, info.generation, info.created)
    try:
        return world.runs.load(dropped.run_id) is not None
    except UnknownFormat:
        return True  # its document is of another version of epydrop


def _as_resource(info: ObjectInfo, bucket: str) -> dict[str, str]:
    """The object in the form of Cloud Storage's own event."""
    return {
        "bucket": bucket,
        "name": info.name,
        "generation": str(info.generation),
        "size": str(info.size),
        "timeCreated": _rfc3339(info.created),
    }


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
