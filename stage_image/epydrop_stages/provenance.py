"""Where the numbers come from: what reproduces a run, what it cost, and what is known of the tasks that failed."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from epydrop.documents import UnknownFormat, from_json
from epydrop.errors import NotThere
from epydrop.experiment import Experiment
from epydrop.names import ERRORS, RESOLVED_EXPERIMENT, TELEMETRY, Stage, tasks_name
from epydrop.orders import Orders
from epydrop.records import ErrorRecord, Manifest, Telemetry
from epydrop_stages.context import TaskContext
from epydrop_stages.suites import RunFacts, TaskLine

_MAX_READ = 2000  # telemetry records, at tens of milliseconds each; the report says when there were more
_MAX_EXPLAINED = 200  # missing tasks whose error record is read


def gather_facts(
    context: TaskContext, manifest: Manifest, lines: Sequence[TaskLine], warnings: Sequence[str]
) -> RunFacts:
    """What a report says about the run itself."""
    orders = context.orders
    missing = [line for line in lines if line.index in orders.missing]
    known = _explanations(context, [line.index for line in missing])
    return RunFacts(
        run_id=orders.run_id,
        exp_id=orders.exp_id,
        config_sha256=hashlib.sha256(context.store.read(RESOLVED_EXPERIMENT)).hexdigest(),
        tasks=len(lines),
        missing=[(line, known.get(line.index) or _cause(orders, line.index)) for line in missing],
        versions={
            **manifest.versions,
            "python": platform.python_version(),
            "epydrop": metadata.version("epydrop"),
        },
        image=orders.resources.image,
        totals=_totals(context),
        warnings=warnings,
    )


def run_metadata(context: TaskContext, experiment: Experiment, facts: RunFacts) -> bytes:
    """All that it takes to get the same numbers again."""
    orders = context.orders
    document: dict[str, Any] = {
        "format": 1,
        "run_id": facts.run_id,
        "exp_id": facts.exp_id,
        "seed": experiment.seed,
        "task_seeds": tasks_name(orders.inputs),
        "config": RESOLVED_EXPERIMENT,
        "config_sha256": facts.config_sha256,
        "image": facts.image,
        "versions": dict(facts.versions),
        "platform": platform.platform(),
        "counts": {
            "tasks": facts.tasks,
            "succeeded": facts.tasks - len(facts.missing),
            "missing": len(facts.missing),
        },
        "missing": str(orders.missing),
        "totals": dict(facts.totals),
        "times": {"first_task": _iso(facts.totals["first_started"]), "outputs": _iso(time.time())},
        "warnings": list(facts.warnings),
        "outputs": orders.outputs,
        "arguments": {
            "stage": str(Stage.OUTPUT),
            "attempt": orders.attempt,
            "inputs": orders.inputs,
            "results": orders.results,
            "run_url": context.told.run_url,
        },
        "reproduce": f"epydrop run {RESOLVED_EXPERIMENT}",
    }
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _explanations(context: TaskContext, indices: Iterable[int]) -> dict[int, str]:
    """The newest error record of each of these runner tasks, in one sentence."""
    wanted = set(sorted(indices)[:_MAX_EXPLAINED])
    newest: dict[int, tuple[tuple[int, int], str]] = {}
    for info in context.store.list(f"{ERRORS}{Stage.RUNNER}/") if wanted else ():
        place = _try_of(info.name)
        if place and place[1] in wanted:
            attempt, index, retry = place
            newest[index] = max(newest.get(index, ((0, 0), "")), ((attempt, retry), info.name))
    return {index: _sentence(context, name) for index, (_, name) in newest.items()}


def _cause(orders: Orders, index: int) -> str:
    """Why a task that left no record is missing: it was killed from outside, or never began."""
    causes = [cause.replace("_", " ") for cause, indices in orders.causes.items() if index in indices]
    return causes[0] if causes else "no error record"


def _try_of(name: str) -> tuple[int, int, int] | None:
    """Attempt, index and retry in the name of an error record."""
    *_, attempt, file = name.split("/")
    index, _, retry = file.removesuffix(".json").partition("-")
    if not (attempt.isdigit() and index.isdigit() and retry.isdigit()):
        return None
    return int(attempt), int(index), int(retry)


def _sentence(context: TaskContext, name: str) -> str:
    try:
        record = from_json(ErrorRecord, context.store.read(name), name)
    except (NotThere, UnknownFormat) as error:
        return str(error)
    return f"{record.type}: {record.message} (exit code {record.exit_code}, attempt {record.attempt})"


def _totals(context: TaskContext) -> dict[str, float]:
    """Seconds summed and peak memory over all tries that left telemetry."""
    found, records = 0, []
    for info in context.store.list(TELEMETRY):
        found += 1
        if found <= _MAX_READ:
            records.append(from_json(Telemetry, context.store.read(info.name), info.name))
    return {
        "records_found": found,
        "records_read": len(records),
        "first_started": min((record.started for record in records), default=time.time()),
        "wall_seconds": round(sum(record.wall_seconds for record in records), 3),
        "cpu_seconds": round(sum(record.cpu_seconds for record in records), 3),
        "peak_memory_mib": round(max((record.peak_memory_mib for record in records), default=0.0), 1),
    }
