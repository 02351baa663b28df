"""What the tasks of the stages leave in a run's folder: by the rules of the real ones, with made-up content."""

from __future__ import annotations

import json

from epydrop.core.jobs import JobSpec
from epydrop.errors import ExitCode
from epydrop.formats import names
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage
from epydrop.formats.orders import Orders
from epydrop.formats.serialization import from_json, to_json
from epydrop.formats.stage_records import Complete, ErrorRecord, Manifest, RecordedProblem, Refusal
from simulation.faults import Faults
from simulation.stores import MemoryObjects

DAMAGED = b"damaged"


def orders_of(spec: JobSpec, store: MemoryObjects) -> Orders:
    """The orders that the tasks of a job read."""
    job = names.parse_job_id(spec.job_id)
    assert job is not None
    name = names.orders_name(job.stage, job.attempt)
    return from_json(Orders, store.read(name), name)


def is_valid(store: MemoryObjects, orders: Orders, index: int) -> bool:
    """Whether a result is there, undamaged and of this round's inputs."""
    name = names.result_name(orders.results, index)
    return store.stat(name) is not None and store.read(name) != DAMAGED


def work(orders: Orders, index: int, retry: int, store: MemoryObjects, tasks: int, faults: Faults) -> ExitCode:
    """Do the work of one task; returns its exit code."""
    match orders.stage:
        case Stage.BUILDER:
            manifest = Manifest(orders.run_id, tasks, {"here": (0, 1), "there": (1, tasks)})
            store.write(names.manifest_name(orders.inputs), to_json(manifest))
            return ExitCode.OK
        case Stage.RUNNER:
            if orders.overwrite or not is_valid(store, orders, index):
                content = json.dumps({"inputs": orders.inputs, "attempt": orders.attempt}).encode()
                damaged = faults.strikes("damaged")
                store.write(names.result_name(orders.results, index), DAMAGED if damaged else content)
            return ExitCode.OK
        case Stage.OUTPUT:
            return _publish(orders, store)


def leave_error(orders: Orders, index: int, retry: int, code: int, store: MemoryObjects) -> None:
    """Leave the record of a try that ended with this code."""
    problems = (RecordedProblem("no such parameter", "experiment.yaml", 7, 3),) if code == ExitCode.BAD_INPUT else ()
    about = (orders.run_id, orders.stage, orders.attempt, index, retry, code)
    record = ErrorRecord(*about, "ValueError", "bad", "...", f"f{code}", problems=problems)
    store.write(names.error_name(orders.stage, orders.attempt, index, retry), to_json(record))


def _publish(orders: Orders, store: MemoryObjects) -> ExitCode:
    name = names.manifest_name(orders.inputs)
    wanted = IndexSet.below(from_json(Manifest, store.read(name), name).tasks) - orders.missing
    bad = [index for index in wanted if not is_valid(store, orders, index)]
    if bad:
        refusal = Refusal(orders.run_id, dict.fromkeys(bad, "damaged"))
        store.write(names.refused_name(orders.attempt), to_json(refusal))
        return ExitCode.BUG
    complete = Complete(orders.run_id, orders.attempt, {orders.results: orders.inputs}, orders.missing)
    store.write(names.complete_name(orders.outputs), to_json(complete))
    return ExitCode.OK
