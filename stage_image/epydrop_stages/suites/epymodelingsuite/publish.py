"""Publishes the package's tables and figures, its configuration, and the table of tasks.

The package expects all results in one call. Called for one result at a time, its tables have the same rows in the same
order, and memory holds one result. Only the rows of a hub file are in another order: location by location.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from epydrop.errors import EpydropError
from epydrop.experiment import Experiment
from epydrop_stages.contract.suite import Output, RunFacts, TaskLine
from epydrop_stages.outputs.point_digest import PointDigest
from epydrop_stages.outputs.quality.findings import Finding, Severity
from epydrop_stages.outputs.tables.blocks import Layout, as_columns
from epydrop_stages.outputs.tables.table_files import TableFiles
from epydrop_stages.suites.epymodelingsuite.configuration import Configuration
from epydrop_stages.suites.epymodelingsuite.generator import Generated
from epydrop_stages.suites.epymodelingsuite.hub_file import HUB_FILE, hub_problems
from epydrop_stages.suites.epymodelingsuite.joined_tables import JoinedTables, is_table
from epydrop_stages.suites.epymodelingsuite.work import PackageResult

_COLUMNS = {
    "index": "integer",
    "location": "text",
    "parameters": "text",
    "chain": "integer",
    "seed": "integer",
    "state": "text",
    "kind": "text",
    "particles": "integer",
    "failed_simulations": "integer",
    "failed_projections": "integer",
    "reason": "text",
}


@dataclass(frozen=True)
class TaskDigest:
    """What is published about one task."""

    task: TaskLine
    kind: str
    particles: int | None
    failed_simulations: int
    failed_projections: int
    generated: Generated = field(default_factory=Generated)

    @classmethod
    def of(cls, task: TaskLine, made: PackageResult, generated: Generated) -> TaskDigest:
        """From a result and the files that the package made from it."""
        posterior = getattr(made.output.results, "posterior_distributions", None)
        particles = len(posterior[max(posterior)]) if posterior else None
        return cls(task, made.kind, particles, made.failed_simulations, made.failed_projections, generated)

    @property
    def findings(self) -> list[Finding]:
        """What the package left out or dropped without an error."""
        location = self.task.key.location
        sentences = [
            f"output.{part} is left out, because the package failed: {reason}"
            for part, reason in self.generated.left_out.items()
        ]
        if self.failed_simulations:
            counted = "simulations of the calibration failed, and the package counted them as zero"
            sentences.append(f"{self.failed_simulations} {counted}")
        if self.failed_projections:
            sentences.append(f"{self.failed_projections} projections failed and are missing from the tables")
        found = [Finding("package", Severity.WARN, sentence, location) for sentence in sentences]
        hub = [Finding("hub", Severity.FAIL, problem, location) for problem in hub_problems(self.generated.files)]
        if not sentences:
            found.append(Finding("package", Severity.PASS, "it made everything that was requested", location))
        if HUB_FILE in self.generated.files and not hub:
            found.append(Finding("hub", Severity.PASS, "the hub would accept it", location))
        return [*found, *hub]


@dataclass(frozen=True)
class SuiteDigest:
    """The digest of a point: the package's files, and the common part that the report needs."""

    tasks: Sequence[TaskDigest]
    point: PointDigest

    @classmethod
    def of(cls, tasks: Sequence[TaskDigest], point: PointDigest) -> SuiteDigest:
        """Combine both parts; the findings about the package join those of the point."""
        quality = point.quality.with_findings(finding for task in tasks for finding in task.findings)
        return cls(tasks, replace(point, quality=quality))


class PackageFiles:
    """Collects the package's files and the rows of the task table; complete when all digests have been collected."""

    def __init__(self, workspace: Path, facts: RunFacts) -> None:
        self._workspace = workspace
        self._facts = facts
        self._tables = JoinedTables(workspace)
        self._outputs: list[Output] = []
        self._rows: list[dict[str, Any]] = []
        self._kinds: set[str] = set()

    def collect(self, digests: Iterable[SuiteDigest]) -> Iterator[PointDigest]:
        """Store the package's part of each digest, yield the common part. Raises EpydropError for mixed kinds."""
        for digest in digests:
            for task in digest.tasks:
                self._add(task)
            yield digest.point

    def close(self, configuration: Configuration, experiment: Experiment) -> Iterator[Output]:
        """Finish and return all files."""
        yield from self._tables.close()
        yield from self._outputs
        yield from self._task_table(experiment)
        for part in configuration:
            yield self._written(f"config/{part.part}.yaml", part.text)

    def _add(self, digest: TaskDigest) -> None:
        self._kinds.add(digest.kind)
        if len(self._kinds) > 1:
            raise EpydropError(f"the run has results of two kinds, {' and '.join(sorted(self._kinds))}")
        for name, data in digest.generated.files.items():
            if is_table(name):
                self._tables.add(name, data)
            else:
                self._outputs.append(self._written(_of_task(name, digest.task, self._facts.tasks), data))
        self._rows.append(
            {
                **_key(digest.task),
                "state": "succeeded",
                "kind": digest.kind,
                "particles": digest.particles,
                "failed_simulations": digest.failed_simulations,
                "failed_projections": digest.failed_projections,
                "reason": "",
            }
        )

    def _task_table(self, experiment: Experiment) -> list[Output]:
        """The table of all tasks; missing ones have the reason."""
        missing = [{**_key(task), "state": "missing", "reason": reason} for task, reason in self._facts.missing]
        rows = sorted([*self._rows, *missing], key=lambda row: int(row["index"]))
        table = TableFiles(self._workspace, Layout("tasks", _COLUMNS, experiment.outputs.formats))
        table.add(as_columns(rows))
        return table.close()

    def _written(self, name: str, data: bytes) -> Output:
        path = self._workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return Output(name, path)


def _key(task: TaskLine) -> dict[str, Any]:
    return {
        "index": task.index,
        "location": task.key.location,
        "parameters": json.dumps(dict(task.key.parameters), sort_keys=True),
        "chain": task.key.chain,
        "seed": task.seed,
    }


def _of_task(name: str, task: TaskLine, tasks: int) -> str:
    """The name of a figure; made unique if there are several tasks."""
    path = PurePath(name)
    return name if tasks == 1 else f"{path.stem}-{task.key.location}-{task.index:05d}{path.suffix}"
