"""A job service whose jobs do exactly what a test tells them to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from epydrop.core.jobs import JobSpec, JobState, JobView, TaskCounts, TaskEnd
from epydrop.errors import BadInput
from epydrop.formats import names
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage
from epydrop.formats.orders import Orders
from epydrop.formats.serialization import from_json, to_json
from epydrop.formats.stage_records import Complete, ErrorRecord, Manifest, RecordedProblem, Refusal
from epydrop.stores.port import ObjectStore


@dataclass
class ScriptedJob:
    """One job and how each of its tasks ended: position -> exit code, None for a task that never ran."""

    spec: JobSpec
    view: JobView
    ends: dict[int, int | None]


class ScriptedJobs:
    """The JobService port, driven by hand. Its tasks write what the real stages would leave in the run's folder."""

    def __init__(self, now: Callable[[], datetime], open_store: Callable[[str], ObjectStore]) -> None:
        self.now = now
        self.open_store = open_store
        self.jobs: dict[str, ScriptedJob] = {}

    # -- the port ----------------------------------------------------------------------------

    def submit(self, spec: JobSpec) -> JobView:
        there = self.jobs.get(spec.job_id)
        if there is not None:
            if there.spec.labels != spec.labels:
                raise BadInput(f"job {spec.job_id} exists with other labels")
            return there.view
        counts = TaskCounts(pending=spec.task_count)
        view = JobView(spec.job_id, f"uid-{spec.job_id}", JobState.QUEUED, self.now(), counts, spec.labels)
        self.jobs[spec.job_id] = ScriptedJob(spec, view, {})
        return view

    def get(self, job_id: str) -> JobView | None:
        job = self.jobs.get(job_id)
        return job.view if job else None

    def cancel(self, job_id: str) -> None:
        job = self.jobs.get(job_id)
        if job is not None and not job.view.state.is_ended:
            job.view = replace(job.view, state=JobState.CANCELLATION_IN_PROGRESS)

    def failed_tasks(self, job_id: str) -> Iterator[TaskEnd]:
        job = self.jobs.get(job_id)
        for position, code in sorted(job.ends.items() if job else ()):
            if code != 0:
                yield TaskEnd(position, code)

    # -- what a test may do ------------------------------------------------------------------

    def live(self) -> list[ScriptedJob]:
        """The jobs that have not ended."""
        return [job for job in self.jobs.values() if not job.view.state.is_ended]

    def start(self, job: ScriptedJob) -> None:
        """Machines were found."""
        if job.view.state.is_waiting:
            job.view = replace(job.view, state=JobState.RUNNING)

    def finish(self, job: ScriptedJob, exit_codes: dict[int, int | None], *, tasks: int = 3) -> None:
        """All tasks end: those not named in ``exit_codes`` with 0, after leaving their product."""
        orders = self.orders(job.spec)
        store = self.open_store(job.spec.env["EPYDROP_RUN_URL"])
        for position in range(job.spec.task_count):
            code = exit_codes.get(position, 0)
            job.ends[position] = code
            if code == 0:
                _leave_product(store, orders, orders.indices.nth(position), tasks)
            elif code is not None and code < 50000 and code != 137:
                _leave_error(store, orders, orders.indices.nth(position), code)
        self._end(job, JobState.SUCCEEDED if all(code == 0 for code in job.ends.values()) else JobState.FAILED)

    def refuse(self, job: ScriptedJob, indices: list[int]) -> None:
        """The output stage ends without publishing, because these results are bad."""
        orders = self.orders(job.spec)
        store = self.open_store(job.spec.env["EPYDROP_RUN_URL"])
        refusal = Refusal(orders.run_id, dict.fromkeys(indices, "altered"))
        store.write(names.refused_name(orders.attempt), to_json(refusal))
        job.ends[0] = 1
        self._end(job, JobState.FAILED)

    def end_cancelled(self, job: ScriptedJob) -> None:
        """A cancellation, ours or somebody's, is through."""
        job.ends = dict.fromkeys(range(job.spec.task_count))
        self._end(job, JobState.CANCELLED)

    def delete(self, job: ScriptedJob) -> None:
        """Somebody deleted the job, and its history with it."""
        del self.jobs[job.spec.job_id]

    def orders(self, spec: JobSpec) -> Orders:
        """The orders that the job's tasks read."""
        job = names.parse_job_id(spec.job_id)
        name = names.orders_name(job.stage, job.attempt)
        return from_json(Orders, self.open_store(spec.env["EPYDROP_RUN_URL"]).read(name), name)

    def _end(self, job: ScriptedJob, state: JobState) -> None:
        ends = list(job.ends.values())
        succeeded, never_ran = ends.count(0), ends.count(None)
        counts = TaskCounts(succeeded=succeeded, failed=len(ends) - succeeded - never_ran, never_ran=never_ran)
        job.view = replace(job.view, state=state, counts=counts)


def _leave_product(store: ObjectStore, orders: Orders, index: int, tasks: int) -> None:
    match orders.stage:
        case Stage.BUILDER:
            manifest = Manifest(orders.run_id, tasks, {"here": (0, 1), "there": (1, tasks)})
            store.write(names.manifest_name(orders.inputs), to_json(manifest))
        case Stage.RUNNER:
            store.write(names.result_name(orders.results, index), b"result")
        case Stage.OUTPUT:
            wanted = IndexSet.below(_task_count(store, orders)) - orders.missing
            there = [i for i in wanted if store.stat(names.result_name(orders.results, i))]
            assert len(there) == len(wanted), "the output stage was ordered although results are missing"
            complete = Complete(orders.run_id, orders.attempt, {}, orders.missing)
            store.write(names.complete_name(orders.outputs), to_json(complete))


def _task_count(store: ObjectStore, orders: Orders) -> int:
    name = names.manifest_name(orders.inputs)
    return from_json(Manifest, store.read(name), name).tasks


def _leave_error(store: ObjectStore, orders: Orders, index: int, code: int) -> None:
    problems = (RecordedProblem("no such parameter", "experiment.yaml", 7, 3),) if code == 65 else ()
    record = ErrorRecord(
        orders.run_id,
        orders.stage,
        orders.attempt,
        index,
        0,
        code,
        "ValueError",
        "bad",
        "...",
        "f00d",
        problems=problems,
    )
    store.write(names.error_name(orders.stage, orders.attempt, index, 0), to_json(record))
