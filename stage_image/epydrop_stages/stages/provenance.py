"""Provenance of the numbers: what reproduces a run, and what it cost."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from epydrop import __version__
from epydrop.experiment import Experiment
from epydrop.formats.names import OUTPUT_CONFIG, PINNED_COMMIT, RESOLVED_EXPERIMENT, Stage, tasks_name
from epydrop.formats.stage_records import Manifest, PinnedCommit
from epydrop_stages.contract.suite import RunFacts, Suite, TaskLine
from epydrop_stages.contract.tries import Tries
from epydrop_stages.stages.context import TaskContext
from epydrop_stages.stages.missing_results import explain_missing
from epydrop_stages.stages.points import Point, drawn_of
from epydrop_stages.stages.read_tries import read_tries


@dataclass(frozen=True)
class Built:
    """The builder's work: its manifest, all tasks, and the points that have results."""

    manifest: Manifest
    lines: Sequence[TaskLine]
    points: Sequence[Point]


def gather_facts(context: TaskContext, experiment: Experiment, suite: Suite, built: Built) -> RunFacts:
    """The facts about the run. All threads have ended when it returns, because workers are forked next."""
    orders, manifest = context.orders, built.manifest
    missing, gaps = explain_missing(context, [line for line in built.lines if line.index in orders.missing])
    drawn, draws_small = drawn_of(built.points)
    tries = read_tries(context.store)
    return RunFacts(
        run_id=orders.run_id,
        exp_id=orders.exp_id,
        config_sha256=hashlib.sha256(context.experiment_text()).hexdigest(),
        tasks=len(built.lines),
        missing=missing,
        versions={
            **manifest.versions,
            "python": platform.python_version(),
            "epydrop": __version__,
        },
        image=orders.resources.image,
        totals=_totals(tries),
        warnings=suite.warnings(experiment),
        locations={location: stop - start for location, (start, stop) in manifest.locations.items()},
        gaps=gaps,
        columns=suite.columns(experiment),
        drawn=drawn,
        draws_small=draws_small,
        tries=tries,
        reproduce=_reproduce(context, experiment),
    )


def run_metadata(context: TaskContext, experiment: Experiment, facts: RunFacts, quality: str) -> bytes:
    """run_metadata.json: everything needed to reproduce the numbers."""
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
        "quality": quality,
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
            "run_url": context.environment.run_url,
        },
        "source": _source(context, experiment),
        "output_config": orders.output_config,
        "reproduce": list(facts.reproduce),
    }
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _reproduce(context: TaskContext, experiment: Experiment) -> list[str]:
    """Shell commands that repeat the run with the same seed and commit, then other outputs if requested."""
    dropped = next((info.name for info in context.store.list("dropped/")), RESOLVED_EXPERIMENT)
    url = context.environment.run_url.rstrip("/") + "/" + dropped
    settings = ["--set", f"seed={experiment.seed}"]
    if source := _source(context, experiment):
        settings += ["--set", f"source.ref={source['commit']}"]
    asked = context.orders.output_config
    config = f"{context.environment.run_url.rstrip('/')}/{context.orders.outputs}{OUTPUT_CONFIG}"
    if url.startswith("file://"):
        run = _command("epydrop", "run", url.removeprefix("file://"), *settings)
        return [run, _outputs_again(config.removeprefix("file://"))] if asked else [run]
    name = dropped.rsplit("/", 1)[-1]
    runs = [_command("gcloud", "storage", "cp", url, name), _command("epydrop", "run", name, *settings)]
    fetch = _command("gcloud", "storage", "cp", config, OUTPUT_CONFIG)
    return [*runs, fetch, _outputs_again(OUTPUT_CONFIG)] if asked else runs


def _outputs_again(config: str) -> str:
    return _command("epydrop", "rerun-output", "latest", "--config", config)


def _command(*words: str) -> str:
    return shlex.join(words)


def _source(context: TaskContext, experiment: Experiment) -> dict[str, str] | None:
    """Repository, ref and resolved commit; None without a source."""
    if experiment.source is None:
        return None
    pinned = context.records.read(PinnedCommit, PINNED_COMMIT)
    return {"repo": pinned.repo, "ref": pinned.ref, "commit": pinned.commit}


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _totals(tries: Tries) -> dict[str, float]:
    """Total seconds and peak memory (MiB) of all tries that left telemetry."""
    done = [each for each in tries.read if not each.failed]
    return {
        "records_found": tries.found,
        "records_read": len(tries.read),
        "first_started": min((each.started for each in tries.read if each.started), default=time.time()),
        "wall_seconds": round(sum(each.wall for each in done), 3),
        "cpu_seconds": round(sum(each.cpu for each in done), 3),
        "peak_memory_mib": round(max((each.peak_mib for each in done), default=0.0), 1),
    }
