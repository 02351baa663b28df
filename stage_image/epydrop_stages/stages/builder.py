"""The builder: gathers the experiment's files, lets the suite make the tasks, and writes the manifest last."""

from __future__ import annotations

import hashlib
import logging
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import zstandard

from epydrop import __version__
from epydrop.errors import BadInput
from epydrop.formats.names import MAX_TASKS, Stage, input_name, manifest_name, tasks_name
from epydrop.formats.serialization import to_json
from epydrop.formats.stage_records import Manifest
from epydrop_stages.artifacts.signed_files import write_artifact
from epydrop_stages.contract.suite import Suite, Task, TaskLine
from epydrop_stages.inputs.problem_locations import with_places
from epydrop_stages.stages.context import TaskContext
from epydrop_stages.stages.workspace import Taken, fill, working_in
from epydrop_stages.suites.registry import suite_named

_log = logging.getLogger("epydrop.stages.builder")


def run(context: TaskContext) -> bool:
    """Makes inputs, task list and manifest. Raises BadInput with every problem, each with its place in the file."""
    try:
        return _build(context)
    except BadInput as error:
        raise with_places(error, context.store) from error


def _build(context: TaskContext) -> bool:
    experiment = context.experiment()
    suite = suite_named(experiment.suite)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        taken = fill(context, experiment, workspace)
        lines = _Lines()
        with working_in(workspace, experiment.suite):
            for task in suite.build(experiment, workspace):
                line = lines.add(task)
                _write_input(context, line.index, experiment.suite, task)
    if not lines.count:
        raise BadInput("the experiment has no task: every list under tasks must have at least one entry")
    _finish(context, lines, suite, taken)
    _log.info("built %d tasks", lines.count)
    return True


def _write_input(context: TaskContext, index: int, suite: str, task: Task) -> None:
    if index >= MAX_TASKS:
        raise BadInput(f"the experiment has more than {MAX_TASKS} tasks, the most that one Batch job takes")
    write_artifact(
        context.store,
        input_name(context.orders.inputs, index),
        (suite, task),
        context.meta(Stage.BUILDER, index),
        context.told.keys,
        image=context.orders.resources.image,
    )


class _Lines:
    """The task list: one line of JSON a task, and the range of each location."""

    def __init__(self) -> None:
        self.count = 0
        self.locations: dict[str, tuple[int, int]] = {}
        self._text: list[bytes] = []

    def add(self, task: Task) -> TaskLine:
        """Notes the next task. Raises ValueError if the suite does not order its tasks by location."""
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
        """The file of all lines."""
        return zstandard.ZstdCompressor(level=9).compress(b"".join(self._text))


def _finish(context: TaskContext, lines: _Lines, suite: Suite, taken: Taken) -> None:
    """Writes the task list, then the manifest, whose presence says that all the rest is there."""
    folder = context.orders.inputs
    tasks = lines.compressed()
    context.store.write(tasks_name(folder), tasks)
    manifest = Manifest(
        run_id=context.orders.run_id,
        tasks=lines.count,
        locations=lines.locations,
        digests={tasks_name(folder): hashlib.sha256(tasks).hexdigest(), **taken.digests},
        versions={
            "python": platform.python_version(),
            "epydrop": __version__,
            **suite.versions(),
            **taken.commits,
        },
    )
    context.store.write(manifest_name(folder), to_json(manifest))


def read_lines(data: bytes) -> Iterator[TaskLine]:
    """The tasks of a task list, in the order of their indices."""
    text = zstandard.ZstdDecompressor().stream_reader(data).read()
    return (TaskLine.from_json(line) for line in text.decode().splitlines())
