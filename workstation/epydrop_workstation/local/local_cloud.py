"""The whole cloud on one machine: drops, kicks, and the loop that delivers events and runs jobs."""

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
MAX_DELIVERIES = 5  # a bug would fail forever; the cloud retries for days, since somebody may deploy a fix


@dataclass
class Machine:
    """The local adapters around one folder, and what a person does with them."""

    root: Path
    world: World
    runs: SqliteRunStore
    trigger: FileObjectStore
    queue: SqliteEventQueue
    jobs: LocalJobService
    waits_for: str = ""  # why jobs are not run at the moment

    def drop(self, file_name: str, data: bytes) -> str:
        """Puts a file into the trigger folder; returns the id of the run that it starts.

        If the same file is there already and its run was never started, because the event was lost, the event is sent
        again.
        """
        name = names.EXPERIMENTS + file_name
        existing = self.trigger.stat(name)
        if existing is not None and self.runs.load(_run_id(existing)) is None and self.trigger.read(name) == data:
            self.trigger.notify_again(name)
            return _run_id(existing)
        return _run_id(self.trigger.write(name, data))

    def kick(self, message: dict[str, Any]) -> None:
        """Sends a kick, like ``gcloud pubsub topics publish``."""
        self.world.publisher.publish("kicks", message)

    def work_on(self, run_id: str, is_done: Callable[[], bool], *, pace: float = 0.25) -> None:
        """Delivers events and runs the jobs of one run until ``is_done``, called at least every ``pace`` seconds.

        While another process runs the jobs of this folder, this one waits, and takes over when the other ends.
        Unfinished jobs of other runs stay unfinished: running their experiment again resumes them.
        """
        self.jobs.run_only_tasks_of(run_id)
        next_check = 0.0
        while not is_done():
            # In the cloud a schedule sends these checks; they make up for lost events.
            if time.monotonic() >= next_check:
                self.kick({"check": run_id})
                next_check = time.monotonic() + CHECK_EVERY
            delivery = self.queue.take()
            if delivery is not None:
                self._deliver(delivery)
            else:
                self._run_tasks(pace)

    def _run_tasks(self, pace: float) -> None:
        try:
            self.jobs.run_tasks(pace)
            self.waits_for = ""
        except RetryableError as busy:  # usually another process runs the jobs of this folder
            self.waits_for = str(busy)
            time.sleep(pace)

    def _deliver(self, delivery: Delivery) -> None:
        """Reconciles one event. After an error it is delivered again, and finally set aside and the error raised."""
        try:
            reconcile(parse(delivery.envelope), self.world)
        except Exception:
            if delivery.delivery_count < MAX_DELIVERIES:
                self.queue.again(delivery)
                return
            self._set_aside(delivery)
            self.queue.done(delivery)
            raise
        self.queue.done(delivery)

    def _set_aside(self, delivery: Delivery) -> None:
        line = json.dumps({"envelope": delivery.envelope, "error": traceback.format_exc()}, ensure_ascii=False)
        with (self.root / names.LOCAL_STATE / "undelivered.jsonl").open("a") as file:
            file.write(line + "\n")


def _run_id(dropped: ObjectInfo) -> str:
    return names.run_id_of(TRIGGER_BUCKET, dropped.name, dropped.generation, dropped.created)
