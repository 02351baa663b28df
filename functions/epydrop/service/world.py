"""Everything that the service acts on, passed in. ``gcp.world`` and the workstation's ``local.wiring`` build it."""

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
    """The ports, the clock, and where replies point to."""

    settings: Settings
    runs: RunStore
    trigger: ObjectStore
    jobs: JobService
    publisher: Publisher
    open_store: Callable[[str], ObjectStore]
    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    signposts: Callable[[Run], Signposts] = by_folder
