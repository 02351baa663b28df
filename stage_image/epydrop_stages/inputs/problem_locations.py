"""Gives the problems that a suite finds their line and column in the experiment file as it was dropped.

A suite knows values, not lines: its problems carry the path to the value, and the dropped file turns it into a place.
"""

from __future__ import annotations

import io

from epydrop.errors import BadInput
from epydrop.experiment.bundle.archive import open_bundle
from epydrop.experiment.text.source import Source, located, read_source
from epydrop.formats.names import DROPPED
from epydrop.stores.port import ObjectStore


def locate_problems(error: BadInput, store: ObjectStore) -> BadInput:
    """The same problems with file, line and column; those that have a line already stay as they are."""
    source = _dropped_experiment(store)
    if source is None:
        return error
    return BadInput(*(located(problem, source, at_key=True) for problem in error.problems))


def _dropped_experiment(store: ObjectStore) -> Source | None:
    """The experiment file as it was dropped, read from its bundle if it came in one; None if there is none."""
    for info in store.list(DROPPED):
        name = info.name.rsplit("/", 1)[-1]
        data = store.read(info.name)
        if name.endswith(".zip"):
            bundle = open_bundle(io.BytesIO(data), len(data), name)
            return read_source(bundle.experiment, f"{name}/{bundle.experiment_name}")
        return read_source(data, name)
    return None
