"""The output stage: verifies every result, or refuses with one list of all that are missing or bad; then publishes."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from epydrop.documents import from_json, to_json
from epydrop.errors import EpydropError, NotGenuine, NotThere
from epydrop.names import (
    LATEST_OUTPUTS,
    RUN_METADATA,
    Stage,
    complete_name,
    manifest_name,
    refused_name,
    result_name,
    tasks_name,
)
from epydrop.records import Complete, Manifest, Refusal
from epydrop_stages.artifacts import check_artifact, read_artifact
from epydrop_stages.builder import read_lines
from epydrop_stages.context import TaskContext
from epydrop_stages.provenance import gather_facts, run_metadata
from epydrop_stages.suites import Finished, Output, TaskLine, suite_named

_log = logging.getLogger("epydrop.stages.output")


class ResultsRefused(EpydropError):
    """Some results are missing or bad; the record lists them all."""


def run(context: TaskContext) -> bool:
    """Publishes one set of outputs, its ``complete.json`` last. Raises ResultsRefused, publishing nothing."""
    experiment = context.experiment()
    suite = suite_named(experiment.suite)
    manifest, lines = _tasks(context)
    facts = gather_facts(context, manifest, lines, suite.warnings(experiment))
    with tempfile.TemporaryDirectory() as folder:
        results = _results(context, lines)
        points = (list(same) for _, same in groupby(results, key=_point_of))
        digests = (suite.digest(point, experiment, facts) for point in points)
        outputs = list(suite.report(digests, experiment, facts, Path(folder)))
        for _ in digests:  # a suite may stop early; what it did not look at is still verified
            pass
        files = {output.name: _publish(context, output) for output in outputs}
    context.store.write(RUN_METADATA, run_metadata(context, experiment, facts))
    _complete(context, files)
    _log.info("published %d files in %s", len(files), context.orders.outputs)
    return True


def _point_of(finished: Finished) -> tuple[str, Mapping[str, Any]]:
    return finished.task.key.location, finished.task.key.parameters


def _tasks(context: TaskContext) -> tuple[Manifest, list[TaskLine]]:
    """What the builder made. Raises NotGenuine when the task list is not the one in the manifest."""
    folder = context.orders.inputs
    manifest = from_json(Manifest, context.store.read(manifest_name(folder)), manifest_name(folder))
    data = context.store.read(tasks_name(folder))
    if manifest.digests.get(tasks_name(folder)) != hashlib.sha256(data).hexdigest():
        raise NotGenuine(f"{tasks_name(folder)} is not the task list that the manifest speaks of")
    return manifest, list(read_lines(data))


def _results(context: TaskContext, lines: Sequence[TaskLine]) -> Iterator[Finished]:
    """The results in the order of their indices, one in memory at a time.

    From the first bad one on nothing is handed over any more, but all the others are still looked at: at the end
    the refusal with every bad index is stored, and ResultsRefused is raised.
    """
    reasons: dict[int, str] = {}
    for line in lines:
        if line.index in context.orders.missing:
            continue
        try:
            if reasons:
                _check(context, line.index)
            else:
                yield Finished(line, _read(context, line.index))
        except NotThere:
            reasons[line.index] = "missing"
        except NotGenuine as error:
            reasons[line.index] = str(error)
    if reasons:
        context.store.write(refused_name(context.orders.attempt), to_json(Refusal(context.orders.run_id, reasons)))
        first = next(iter(reasons.items()))
        raise ResultsRefused(f"{len(reasons)} of {len(lines)} results are missing or bad, the first: {first}")


def _read(context: TaskContext, index: int) -> object:
    value: object = read_artifact(
        context.store, result_name(context.orders.results, index), context.meta(Stage.RUNNER, index), context.told.keys
    )
    return value


def _check(context: TaskContext, index: int) -> None:
    check_artifact(
        context.store, result_name(context.orders.results, index), context.meta(Stage.RUNNER, index), context.told.keys
    )


def _publish(context: TaskContext, output: Output) -> str:
    """Stores one file; returns its sha256."""
    with output.path.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
        source.seek(0)
        with context.store.open_write(context.orders.outputs + output.name) as target:
            shutil.copyfileobj(source, target, 1 << 20)
    return digest


def _complete(context: TaskContext, files: dict[str, str]) -> None:
    """Says that the set is whole, and then that it is the newest."""
    orders = context.orders
    mark = Complete(orders.run_id, orders.attempt, files, orders.missing)
    context.store.write(complete_name(orders.outputs), to_json(mark))
    latest = {"folder": orders.outputs, "format": 1, "run_id": orders.run_id}
    context.store.write(LATEST_OUTPUTS, json.dumps(latest, indent=1).encode() + b"\n")
