"""Builds the local cloud: the only place that chooses its adapters.

Its counterpart for Google Cloud is ``epydrop.gcp.world``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from batch_emulator.engine.faults import DeliveryFaults
from batch_emulator.engine.options import usable_cores
from epydrop.service.world import World
from epydrop.settings import read_settings
from epydrop.stores import open_store
from epydrop.stores.folder import FileObjectStore
from epydrop_workstation.local.database import Database
from epydrop_workstation.local.envelopes import finalize_envelope
from epydrop_workstation.local.event_queue import SqliteEventQueue
from epydrop_workstation.local.job_service import LocalJobService
from epydrop_workstation.local.local_cloud import TRIGGER_BUCKET, Machine
from epydrop_workstation.local.options import LocalOptions
from epydrop_workstation.local.publisher import QueuePublisher
from epydrop_workstation.local.run_store import SqliteRunStore, require_runs
from epydrop_workstation.local.signing_key import signing_keys

_PASSED_ON = ("EPYDEMIX_DATA",)  # variables of this process that every task gets
_FOR_BUILDERS = ("GITHUB_PAT",)  # a secret that no other stage needs


@contextmanager
def local_machine(
    root: Path,
    *,
    parallelism: int | None = None,
    variables: Mapping[str, str] = os.environ,
    faults: DeliveryFaults | None = None,
) -> Iterator[Machine]:
    """A local cloud in the folder ``root``. Every process that it started has ended when the block is left.

    ``parallelism`` is the number of tasks at a time, by default the number of cores; ``variables`` are this
    process's environment. Raises ConfigurationError if the folder cannot be used.
    """
    root = root.absolute()
    database = Database(root)
    settings = read_settings(
        {
            "EPYDROP_DATA_URL": f"{(root / 'runs').as_uri()}/",
            "EPYDROP_TRIGGER_BUCKET": TRIGGER_BUCKET,
            "EPYDROP_ENVIRONMENT": "local",
            "EPYDROP_IMAGE": "local",
            "EPYDROP_ACCEPT_FROM": "1970-01-01T00:00:00Z",
        }
    )
    queue = SqliteEventQueue(database, faults)
    runs = SqliteRunStore(database)
    trigger = FileObjectStore(
        root / TRIGGER_BUCKET, on_created=lambda info, md5: queue.put(finalize_envelope(TRIGGER_BUCKET, info, md5))
    )
    env = {name: str(Path(variables[name]).absolute()) for name in _PASSED_ON if variables.get(name)}
    env["EPYDROP_SIGNING_KEY"] = signing_keys(database.folder)
    builder_env = {name: variables[name] for name in _FOR_BUILDERS if variables.get(name)}
    options = LocalOptions(cores=parallelism or usable_cores(), env=env, builder_env=builder_env)
    jobs = LocalJobService(database, emit=queue.put, options=options)
    world = World(
        settings=settings,
        runs=runs,
        trigger=trigger,
        jobs=jobs,
        publisher=QueuePublisher(queue, database.folder / "notifications.jsonl"),
        open_store=open_store,
        now=lambda: datetime.now(UTC),
        sleep=time.sleep,
    )
    try:
        yield Machine(root, world, runs, trigger, queue, jobs)
    finally:
        jobs.close()
        database.close()


@contextmanager
def existing_machine(root: Path, *, parallelism: int | None = None) -> Iterator[Machine]:
    """Like ``local_machine``, for a folder that holds runs already. Raises ConfigurationError if it holds none."""
    require_runs(root)
    with local_machine(root, parallelism=parallelism) as machine:
        yield machine
