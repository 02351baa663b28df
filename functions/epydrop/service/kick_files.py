"""Kicks: read from files, answered by files; and the experiment that a start kick names.

What a command does to a run is decided like everything else; nothing here knows how.
"""

from __future__ import annotations

from contextlib import suppress

from epydrop.core.events import Command, FileDropped, KickDropped, Refused, StartRequested
from epydrop.core.run import Dropped
from epydrop.errors import NotFound, PreconditionFailed
from epydrop.service.parse import parse_kick
from epydrop.service.replies import KickOutcome, kick_reply_json, kick_reply_markdown
from epydrop.service.world import World
from epydrop.stores.port import ObjectStore

MAX_BYTES = 100_000  # of a kick file, which may hold an output configuration of 64 KiB


def read_kick(event: KickDropped, trigger: ObjectStore) -> Command | Refused | None:
    """The command in the dropped file, or None if that generation is gone."""
    dropped = event.dropped
    if event.size > MAX_BYTES:
        return Refused(f"the kick has {event.size} bytes, at most {MAX_BYTES} are read")
    try:
        text = trigger.read(dropped.name, generation=dropped.generation, end=MAX_BYTES)
    except NotFound:
        return None
    return parse_kick(text, f"{dropped.bucket}/{dropped.name}#{dropped.generation}", dropped.created)


def answer_kick(name: str, outcome: KickOutcome, trigger: ObjectStore) -> None:
    """Write both forms of the answer, once: a second delivery changes nothing, and must not say so.

    ``name`` is that of the objects, without the suffix.
    """
    for suffix, reply in (("json", kick_reply_json(outcome)), ("md", kick_reply_markdown(outcome))):
        with suppress(PreconditionFailed):
            trigger.write(f"{name}.{suffix}", reply, if_generation=0)


def file_to_start(event: StartRequested, world: World) -> FileDropped | Refused:
    """The named file, as if it were dropped now.

    However often the kick is delivered, it starts one run: content that came after the kick is not meant by it.
    """
    url = f"gs://{event.bucket}/{event.name}"
    if event.bucket != world.settings.trigger_bucket:
        return Refused(f"start names {url}; only files in gs://{world.settings.trigger_bucket} can be started")
    info = world.trigger.stat(event.name)
    if info is None:
        return Refused(f"start names {url}, and there is no such object")
    if info.created > event.published:
        return Refused(f"{url} was replaced after this kick was sent, and so has started by itself")
    return FileDropped(Dropped(event.bucket, event.name, info.generation, info.created, "", event.kick_id), info.size)
