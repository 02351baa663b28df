"""Admission of a dropped file: its contents as an offer, or every reason to reject it.

Reads the exact generation that was dropped; of a bundle only its list of members and its experiment file.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from epydrop.core.events import FileDropped
from epydrop.core.observed_facts import Offer
from epydrop.core.run import Dropped, Plan
from epydrop.errors import BadInput, NotFound, Problem
from epydrop.experiment import Experiment, no_files, read_experiment
from epydrop.experiment.bundle.archive import RangeReader, open_bundle
from epydrop.experiment.text.yaml_nodes import MAX_BYTES
from epydrop.formats import names
from epydrop.formats.names import Stage
from epydrop.settings import Settings
from epydrop.stores.port import ObjectStore


@dataclass(frozen=True)
class Reading:
    """The offer, and the resolved experiment as the run keeps it; empty if the file is invalid."""

    offer: Offer
    dropped: Dropped
    resolved: bytes = b""

    def keep(self, trigger: ObjectStore, store: ObjectStore) -> None:
        """Copy the dropped file and write the resolved experiment into the run's folder."""
        dropped = self.dropped
        trigger.copy(dropped.name, store, names.dropped_name(dropped.name), generation=dropped.generation)
        if self.resolved:
            store.write(names.RESOLVED_EXPERIMENT, self.resolved)


def read_offer(event: FileDropped, trigger: ObjectStore, settings: Settings) -> Reading | None:
    """The offer of the dropped generation, or None if that generation is gone."""
    dropped = event.dropped
    run_id = dropped.run_id

    def read(start: int, end: int) -> bytes:
        return trigger.read(dropped.name, generation=dropped.generation, start=start, end=end)

    default = names.exp_id_of(dropped.name)
    try:
        return _accepted(event, read, run_id, default, settings)
    except NotFound:
        return None
    except BadInput as error:
        exp_id = default if names.is_exp_id(default) else f"unnamed/{names.label_value(default)}"
        url = settings.data_url + names.run_folder("", exp_id, run_id)
        return Reading(Offer(exp_id, url, Plan(stages={}), error.problems), dropped)


def _accepted(
    event: FileDropped, read: Callable[[int, int], bytes], run_id: str, default_exp_id: str, settings: Settings
) -> Reading:
    """The reading of a valid file. Raises BadInput with every problem."""
    experiment = _experiment(event, read, default_exp_id)
    if experiment.seed is None:
        experiment = experiment.model_copy(update={"seed": seed_of(run_id)})
    url = settings.data_url + names.run_folder("", experiment.exp_id, run_id)
    resolved = experiment.to_yaml()
    sha256 = hashlib.sha256(resolved).hexdigest()
    offer = Offer(experiment.exp_id, url, _plan(experiment, settings), experiment_sha256=sha256)
    return Reading(offer, event.dropped, resolved)


def _experiment(event: FileDropped, read: Callable[[int, int], bytes], default_exp_id: str) -> Experiment:
    name = event.dropped.name.rsplit("/", 1)[-1]
    if name.endswith(".zip"):
        bundle = open_bundle(io.BufferedReader(RangeReader(read, event.size)), event.size, name)
        file = f"{name}/{bundle.experiment_name}"
        return read_experiment(bundle.experiment, file, default_exp_id, why_missing=bundle.why_missing)
    if event.size > MAX_BYTES:
        raise BadInput(Problem(f"the file has {event.size} bytes, expected at most {MAX_BYTES}", name))
    return read_experiment(read(0, event.size), name, default_exp_id, why_missing=no_files)


def _plan(experiment: Experiment, settings: Settings) -> Plan:
    """The part of the experiment that decisions need; without an image of its own, it gets the deployed one."""
    section = experiment.run
    sized = {stage: section.resources(stage) for stage in Stage}
    # By name, so that a new key of the section that Plan has too needs no edit here.
    shared = {field.name: getattr(section, field.name, None) for field in fields(Plan)}
    computed: dict[str, Any] = {
        "stages": {stage: replace(size, image=size.image or settings.image) for stage, size in sized.items()},
        "labels": {**section.labels, "environment": settings.environment},
        "expected_tasks": experiment.expected_tasks,
    }
    return Plan(**{**shared, **computed})


def seed_of(run_id: str) -> int:
    """The seed for an experiment without one: 63 bits of the SHA-256 of the run id."""
    return int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], "big") >> 1
