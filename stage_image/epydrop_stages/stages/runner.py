"""The runner: computes one task from its input to its result. It reads and writes its own index only."""

from __future__ import annotations

import logging

from epydrop.errors import IntegrityError, NotFound
from epydrop.formats.names import Stage, input_name, result_name
from epydrop_stages.artifacts.signed_files import is_valid, read_artifact, write_artifact
from epydrop_stages.contract.heartbeat import heartbeat
from epydrop_stages.contract.suite import Task
from epydrop_stages.stages.context import TaskContext
from epydrop_stages.stages.workspace import suite_workspace
from epydrop_stages.suites.registry import suite_named

_log = logging.getLogger("epydrop.stages.runner")


def run(context: TaskContext) -> bool:
    """Compute the result; returns False if a valid one exists and the orders do not ask to overwrite it."""
    orders, store, keys, index = context.orders, context.store, context.environment.keys, context.index
    target = result_name(orders.results, index)
    meta = context.meta(Stage.RUNNER, index)
    # Batch may run a task again after its result was written, as when the VM is preempted while it shuts down.
    if not orders.overwrite and is_valid(store, target, meta, keys):
        _log.info("task %d already has a valid result", index)
        return False
    heartbeat("reading its input")
    name, task = read_input(context)
    with suite_workspace(context, name):
        heartbeat("computing")
        result = suite_named(name).run(task)
    heartbeat("storing its result")
    write_artifact(store, target, result, meta, keys, image=orders.resources.image)
    _log.info("task %d is done", index)
    return True


def read_input(context: TaskContext) -> tuple[str, Task]:
    """The suite's name and the builder's task for this index. Raises IntegrityError if it cannot be read."""
    name = input_name(context.orders.inputs, context.index)
    try:
        suite, task = read_artifact(
            context.store, name, context.meta(Stage.BUILDER, context.index), context.environment.keys
        )
    except NotFound as error:
        raise IntegrityError(f"{name} does not exist, although the builder finished") from error
    return suite, task
