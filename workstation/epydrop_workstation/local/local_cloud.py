"""One machine as the whole cloud: drops, kicks, and the loop that delivers events and tends the jobs."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from epydrop.errors import RetryableError
from epydrop.formats import names
from epydrop.service.parse import parse
from epydrop.service.reconcile import reconcile
from epydrop.service.world import World
from epydrop.stores.folder import FileObjectStore
from epydrop.stores.port import ObjectInfo
from epydrop_workstation.local.event_queue import Delivery, SqliteEventQueue
from epydrop_workstation.local.job_service import LocalJobService
from epydrop_workstation.local.run_store import SqliteRunStore

TRIGGER_BUCKET = "trigger"
CHECK_EVERY = 5.0  # seconds; minutes in the cloud, where a check costs money
MAX_DELIVERIES = 5  # nobody mends a bug while a laptop waits


@dataclass
class Machine:
    """The local adapters around one folder, and what a person does with them."""

    root: Path
    world: World
    runs: SqliteRunStore
    trigger: FileObjectStore
    queue: SqliteEventQueue
    jobs: LocalJobService
    waits_for: str = ""  # why no job is tended just now

    def drop(self, file_name: str, data: bytes) -> str:
        """Puts a file into the trigger folder; returns the id of the run that it starts.

        A file that lies there already, and whose run was never begun because the event was lost, is announced again.
        """
        name = names.EXPERIMENTS + file_name
        there = self.trigger.stat(name)
        if there is not None and self.runs.load(_run_id(there)) is None and self.trigger.read(name) == data:
            self.trigger.notify_again(name)
            return _run_id(there)
        return _run_id(self.trigger.write(name, data))

    def kick(self, message: dict[str, Any]) -> None:
        """Sends a kick, like ``gcloud pubsub topics publish``."""
        self.world.publisher.publish("kicks", message)

    def work_on(self, run_id: str, is_done: Callable[[], bool], *, pace: float = 0.25) -> None:
        """Delivers events and tends the run's jobs until ``is_done``, which is asked at least every ``pace`` seconds.

        When another process tends the jobs of this folder, its work is awaited; when that ends, this one takes over.
        Jobs of other runs that were left unfinished stay so: whoever wants them runs their experiment again.
        """
        self.jobs.tend_only(run_id)
        next_check = 0.0
        while not is_done():
            if time.monotonic() >= next_check:
                self.kick({"check": run_id})
                next_check = time.monotonic() + CHECK_EVERY
            delivery = self.queue.take()
            if delivery is not None:
                self._deliver(delivery)
            else:
                self._tend(pace)

    def _tend(self, pace: float) -> None:
        try:
            self.jobs.tend(pace)
            self.waits_for = ""
        except RetryableError as busy:
            self.waits_for = str(busy)
            time.sleep(pace)

    def _deliver(self, delivery: Delivery) -> None:
        """Hands one envelope to the core; what raises comes again, and in the end is kept aside and told."""
        try:
            reconcile(parse(delivery.envelope), self.world)
        except Exception:
            if delivery.delivery_count < MAX_DELIVERIES:
                self.queue.again(delivery)
                return
            self._keep_aside(delivery)
            self.queue.done(delivery)
            raise
        self.queue.done(delivery)

    def _keep_aside(self, delivery: Delivery) -> None:
        line = json.dumps({"envelope": delivery.envelope, "error": traceback.format_exc()}, ensure_ascii=False)
        with (self.root / names.LOCAL_STATE / "undelivered.jsonl").open("a") as file:
            file.write(line + "\n")


def _run_id(dropped: ObjectInfo) -> str:
    return names.run_id_of(TRIGGER_BUCKET, dropped.name, dropped.generation, dropped.created)
