"""What the schedule asks for: a check of every run that is not done, and once an hour a look for files that got lost.

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

LOOK_FROM = timedelta(minutes=10)  # a younger file's own event may still come
LOOK_BACK = timedelta(hours=48)  # an older file was left lying for a reason
EVERY_MINUTES = 5  # the period of the schedule: of an hour's sweeps, one is in its first five minutes


def sweep(event: SweepRequested, world: World) -> None:
    """Publishes the checks, page by page; once an hour also the files without a run."""
    for run_id in world.runs.unfinished():
        world.publisher.publish("kicks", {"check": run_id})
    if event.published is not None and event.published.minute < EVERY_MINUTES:
        for info in _lost_files(world):
            world.publisher.publish("kicks", {"found": _as_resource(info, world.settings.trigger_bucket)})


def _lost_files(world: World) -> Iterator[ObjectInfo]:
    """Experiments that were dropped lately, and that no run speaks of."""
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
        return True  # another version of epydrop has it


def _as_resource(info: ObjectInfo, bucket: str) -> dict[str, str]:
    """The object as Cloud Storage's own event would describe it."""
    return {
        "bucket": bucket,
        "name": info.name,
        "generation": str(info.generation),
        "size": str(info.size),
        "timeCreated": _rfc3339(info.created),
    }


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
