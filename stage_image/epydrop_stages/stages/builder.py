"""The builder: collects the experiment's files, lets the suite make the tasks, and writes the manifest last."""

from __future__ import annotations

import hashlib
import logging
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import zstandard

from epydrop import __version__
from epydrop.errors import BadInput, Problem
from epydrop.formats.names import MAX_TASKS, RESOLVED_EXPERIMENT, Stage, input_name, manifest_name, tasks_name
from epydrop.formats.stage_records import Manifest
from epydrop_stages.artifacts.signed_files import write_artifact
from epydrop_stages.contract.heartbeat import heartbeat
from epydrop_stages.contract.suite import Suite, Task, TaskLine
from epydrop_stages.inputs.problem_locations import locate_problems
from epydrop_stages.stages.context import TaskContext
from epydrop_stages.stages.workspace import Sources, fill, working_in
from epydrop_stages.suites.registry import suite_named

_log = logging.getLogger("epydrop.stages.builder")


def run(context: TaskContext) -> bool:
    """Write inputs, task list and manifest. Raises BadInput with all problems and their lines in the dropped file."""
    try:
        return _build(context)
    except BadInput as error:
        raise locate_problems(error, context.store) from error


def _build(context: TaskContext) -> bool:
    experiment = context.experiment()
    suite = suite_named(experiment.suite)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        heartbeat("fetching the experiment's files")
        sources = fill(context, experiment, workspace)
        lines = _Lines()
        with working_in(workspace, experiment.suite):
            heartbeat("building the first task")
            for task in suite.build(experiment, workspace):
                line = lines.add(task)
                _write_input(context, line.index, experiment.suite, task)
                heartbeat("building tasks")
    # Checked after building: how many tasks there are, only the suite knows.
    if not lines.count:
        message = "the experiment has no task: every list under tasks must have at least one entry"
        raise BadInput(Problem(message, path=("tasks",)))
    _finish(context, lines, suite, sources)
    _log.info("built %d tasks", lines.count)
    return True


def _write_input(context: TaskContext, index: int, suite: str, task: Task) -> None:
    if index >= MAX_TASKS:
        message = f"the experiment has more than {MAX_TASKS} tasks, the limit of a Batch job"
        raise BadInput(Problem(message, path=("tasks",)))
    write_artifact(
        context.store,
        input_name(context.orders.inputs, index),
        (suite, task),
        context.meta(Stage.BUILDER, index),
        context.environment.keys,
        image=context.orders.resources.image,
    )


class _Lines:
    """The task list: one line of JSON per task, and the index range of each location."""

    def __init__(self) -> None:
        self.count = 0
        self.locations: dict[str, tuple[int, int]] = {}
        self._text: list[bytes] = []

    def add(self, task: Task) -> TaskLine:
        """Append the next task. Raises ValueError if the suite's tasks are not ordered by location."""
        line = TaskLine(self.count, task.key, task.seed)
        location = task.key.location
        start, stop = self.locations.get(location, (line.index, line.index))
        if stop != line.index:
            raise ValueError(f"the suite's tasks are not ordered by location: {location} comes twice")
        self.locations[location] = (start, line.index + 1)
        self._text.append(line.to_json())
        self.count += 1
        return line

    def compressed(self) -> bytes:
        """All lines, compressed with zstd."""
        return zstandard.ZstdCompressor(level=9).compress(b"".join(self._text))


def _finish(context: TaskContext, lines: _Lines, suite: Suite, sources: Sources) -> None:
    """Write the task list, then the manifest: its existence means that everything else exists."""
    folder = context.orders.inputs
    tasks = lines.compressed()
    context.store.write(tasks_name(folder), tasks)
    manifest = Manifest(
        run_id=context.orders.run_id,
        tasks=lines.count,
        locations=lines.locations,
        digests={
            tasks_name(folder): hashlib.sha256(tasks).hexdigest(),
            RESOLVED_EXPERIMENT: hashlib.sha256(context.experiment_text()).hexdigest(),
            **sources.digests,
        },
        versions={
            "python": platform.python_version(),
            "epydrop": __version__,
            **suite.versions(),
            **sources.commits,
        },
    )
    context.records.write(manifest_name(folder), manifest)


def read_lines(data: bytes) -> Iterator[TaskLine]:
    """Parse a compressed task list: its tasks by index."""
    text = zstandard.ZstdDecompressor().stream_reader(data).read()
    return (TaskLine.from_json(line) for line in text.decode().splitlines())
