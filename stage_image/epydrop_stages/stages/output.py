"""The output stage: verifies all results and publishes the outputs, or refuses with one list of bad results."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from epydrop.errors import IntegrityError
from epydrop.experiment.text.yaml_writer import write_yaml
from epydrop.formats.names import (
    LATEST_OUTPUTS,
    OUTPUT_CONFIG,
    QUALITY,
    RUN_METADATA,
    complete_name,
    tasks_name,
)
from epydrop.formats.stage_records import Complete
from epydrop_stages.contract.heartbeat import heartbeat
from epydrop_stages.contract.suite import Output
from epydrop_stages.stages.builder import read_lines
from epydrop_stages.stages.context import TaskContext
from epydrop_stages.stages.digesting import Digesting, digesting
from epydrop_stages.stages.freed_memory import return_freed_memory
from epydrop_stages.stages.points import points_of
from epydrop_stages.stages.provenance import Built, gather_facts, run_metadata
from epydrop_stages.suites.registry import suite_named

_log = logging.getLogger("epydrop.stages.output")


def run(context: TaskContext) -> bool:
    """Publish one set of outputs, ``complete.json`` last. Raises ResultsRefused without publishing anything."""
    return_freed_memory()
    experiment = context.experiment()
    suite = suite_named(experiment.suite)
    built = _built(context)
    facts = gather_facts(context, experiment, suite, built)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work = Digesting(context.environment, context.orders, experiment, facts, folder)
        with digesting(context, work, built.points) as digests:
            outputs = [*suite.report(digests, experiment, facts, folder), *_configuration(context, folder)]
            for _ in digests:  # verifies the results that the suite did not ask for
                pass
        quality = _quality(outputs)
        heartbeat("storing the outputs")
        files = _publish(context, outputs)
    context.store.write(RUN_METADATA, run_metadata(context, experiment, facts, quality))
    # Last: whoever finds complete.json must find everything else.
    _complete(context, files, quality)
    _log.info("published %d files in %s; quality: %s", len(files), context.orders.outputs, quality or "not checked")
    return True


def _built(context: TaskContext) -> Built:
    """Read the builder's work. Raises IntegrityError if the task list is not the one in the manifest."""
    folder = context.orders.inputs
    manifest = context.manifest()
    data = context.store.read(tasks_name(folder))
    if manifest.digests.get(tasks_name(folder)) != hashlib.sha256(data).hexdigest():
        raise IntegrityError(f"{tasks_name(folder)} is not the task list listed in the manifest")
    lines = list(read_lines(data))
    return Built(manifest, lines, points_of(lines, context.orders.missing))


def _configuration(context: TaskContext, folder: Path) -> Iterator[Output]:
    """The output configuration, if it is not the experiment's own, so that these outputs can be requested again."""
    if config := context.orders.output_config:
        path = folder / OUTPUT_CONFIG
        path.write_bytes(write_yaml(config))
        yield Output(OUTPUT_CONFIG, path)


def _quality(outputs: Sequence[Output]) -> str:
    """The verdict of the quality checks; empty if the suite made none."""
    path = next((output.path for output in outputs if output.name == QUALITY), None)
    return str(json.loads(path.read_bytes())["quality"]) if path else ""


def _publish(context: TaskContext, outputs: Sequence[Output]) -> dict[str, str]:
    """Store the files; returns name -> SHA-256 in hex."""
    context.store.write_files({context.orders.outputs + output.name: output.path for output in outputs})
    return {output.name: _sha256(output.path) for output in outputs}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _complete(context: TaskContext, files: dict[str, str], quality: str) -> None:
    """Mark the set as complete, then as the latest."""
    orders = context.orders
    # latest.json after complete.json, so that it never names an incomplete set.
    mark = Complete(orders.run_id, orders.attempt, files, orders.missing, quality)
    context.records.write(complete_name(orders.outputs), mark)
    latest = {"folder": orders.outputs, "format": 1, "run_id": orders.run_id}
    context.store.write(LATEST_OUTPUTS, json.dumps(latest, indent=1).encode() + b"\n")
