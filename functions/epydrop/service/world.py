"""All that the core acts on, handed in from outside; each kind of world has one place that makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from epydrop.core.run import Run
from epydrop.service.ports import JobService, Publisher, RunStore
from epydrop.service.replies import Signposts, by_folder
from epydrop.settings import Settings
from epydrop.stores.port import ObjectStore


@dataclass(frozen=True)
class World:
    """The ports, the clock, and what a reply can point to in this world."""

    settings: Settings
    runs: RunStore
    trigger: ObjectStore
    jobs: JobService
    publisher: Publisher
    open_store: Callable[[str], ObjectStore]
    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    signposts: Callable[[Run], Signposts] = by_folder
