"""Observe the facts: the job first, then its product, and only what a decision can use.

Cost: one read of the job for each event. Only when an attempt has ended are its failed tasks paged, the
results listed, and at most 200 error records read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from epydrop.core.causes import Cause, cause_of
from epydrop.core.conditions import ALIKE_FAILURES
from epydrop.core.events import OutputRequested, RetryRequested, RunEvent
from epydrop.core.jobs import JobState, JobView
from epydrop.core.observed_facts import Facts, ManifestSeen
from epydrop.core.run import Attempt, Run
from epydrop.errors import BadInput, NotFound, Problem
from epydrop.formats import names
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage
from epydrop.formats.serialization import UnknownFormat, from_json
from epydrop.formats.stage_records import Complete, Manifest, Refusal
from epydrop.service.failure_digest import failures_so_far, grouped, records_of
from epydrop.service.ports import JobService
from epydrop.stores.port import ObjectStore

R = TypeVar("R", Manifest, Complete, Refusal)


def observe(run: Run, event: RunEvent, jobs: JobService, objects: ObjectStore) -> Facts:
    """The facts about the current attempt; ``objects`` is the store of the run's folder."""
    attempt = run.current
    if attempt is None:
        return Facts()
    job = _no_older(jobs.get(attempt.job_id), attempt)
    seen = Facts(stage=attempt.stage, attempt=attempt.orders.attempt, job=job)
    if job is not None and not job.state.is_ended:
        return _with_failures_alike(seen, attempt, job, objects)
    if isinstance(event, OutputRequested) and not run.phase.is_open and run.tasks is not None:
        seen = replace(seen, problems=_output_problems(event, run, objects))
    elif not run.phase.is_open and not (isinstance(event, RetryRequested) or run.pending):
        return seen
    causes = _causes(attempt, job, jobs)
    match attempt.stage:
        case Stage.BUILDER:
            return _builder_facts(seen, run, attempt, causes, objects)
        case Stage.RUNNER:
            return _runner_facts(seen, run, attempt, causes, objects)
        case Stage.OUTPUT:
            return _output_facts(seen, attempt, causes, objects)


# -- the job -------------------------------------------------------------------------------------


def _no_older(job: JobView | None, attempt: Attempt) -> JobView | None:
    """The job, but ended if it was seen to have ended: a read may lag behind an earlier one."""
    if job is None or job.state.is_ended or attempt.ended is None or job.uid != attempt.uid or attempt.state is None:
        return job
    return replace(job, state=attempt.state, counts=attempt.counts)


def _causes(attempt: Attempt, job: JobView | None, jobs: JobService) -> dict[Cause, IndexSet]:
    """The failed indices of the attempt by cause."""
    if job is None or job.state is not JobState.FAILED:
        return attempt.causes
    if attempt.causes:
        return attempt.causes  # known from an earlier event; an ended job does not change
    found: dict[Cause, list[int]] = {}
    for task in jobs.failed_tasks(attempt.job_id):
        found.setdefault(cause_of(task.exit_code), []).append(attempt.orders.indices.nth(task.position))
    if not found:  # the job failed before it had tasks
        return {Cause.NEVER_RAN: attempt.orders.indices}
    return {cause: IndexSet.of(indices) for cause, indices in found.items()}


def _with_failures_alike(seen: Facts, attempt: Attempt, job: JobView, objects: ObjectStore) -> Facts:
    """For a live job whose tasks only fail: error records, to find out whether they fail alike."""
    if job.counts.failed < ALIKE_FAILURES or job.counts.succeeded:
        return seen
    return replace(seen, failures=grouped(records_of(attempt, objects), {}, attempt.orders.indices))


# -- the product of each stage -------------------------------------------------------------------


def _builder_facts(
    seen: Facts, run: Run, attempt: Attempt, causes: dict[Cause, IndexSet], objects: ObjectStore
) -> Facts:
    try:
        manifest = _manifest(run, objects)
    except UnknownFormat as error:
        return replace(seen, causes=causes, damage=str(error))
    if manifest is not None:
        return replace(seen, causes=causes, manifest=manifest)
    records = list(records_of(attempt, objects))
    problems = tuple(
        Problem(problem.message, problem.file, problem.line, problem.column, problem.hint)
        for record in records
        for problem in record.problems
    )
    failures = grouped(records, causes, attempt.orders.indices)
    return replace(seen, causes=causes, problems=problems, failures=failures)


def _runner_facts(
    seen: Facts, run: Run, attempt: Attempt, causes: dict[Cause, IndexSet], objects: ObjectStore
) -> Facts:
    if seen.job is not None and seen.job.state is JobState.SUCCEEDED:
        missing = run.missing - attempt.orders.indices
    else:
        missing = IndexSet.below(run.tasks or 0) - _results(run, objects)
        if attempt.orders.overwrite:  # a failed index still has the result that was refused
            for failed in causes.values():
                missing = missing | failed
    if not missing:
        return replace(seen, causes=causes, missing=missing)
    return replace(
        seen, causes=causes, missing=missing, failures=failures_so_far(run, attempt, causes, missing, objects)
    )


def _output_facts(seen: Facts, attempt: Attempt, causes: dict[Cause, IndexSet], objects: ObjectStore) -> Facts:
    try:
        complete = _record(Complete, names.complete_name(attempt.orders.outputs), objects)
        if complete is not None:
            return replace(seen, causes=causes, complete=True, quality=complete.quality)
        refusal = _record(Refusal, names.refused_name(attempt.orders.attempt), objects)
    except UnknownFormat as error:
        return replace(seen, causes=causes, damage=str(error))
    refused = refusal.indices if refusal else None
    records = list(records_of(attempt, objects))
    return replace(seen, causes=causes, refused=refused, failures=grouped(records, causes, attempt.orders.indices))


def _manifest(run: Run, objects: ObjectStore) -> ManifestSeen | None:
    """The manifest, or None if there is none. Raises UnknownFormat if it is not this run's."""
    name = names.manifest_name(run.inputs)
    manifest = _record(Manifest, name, objects)
    if manifest is None:
        return None
    if manifest.run_id != run.run_id:
        raise UnknownFormat(f"{name} belongs to run {manifest.run_id}, not to {run.run_id}")
    return ManifestSeen(manifest.tasks, manifest.locations)


def _record(kind: type[R], name: str, objects: ObjectStore) -> R | None:
    """The record, or None if there is none. Raises UnknownFormat."""
    try:
        return from_json(kind, objects.read(name), name)
    except NotFound:
        return None


def _results(run: Run, objects: ObjectStore) -> IndexSet:
    """The indices whose results exist, from a paged listing."""
    found = (names.parse_result_name(info.name) for info in objects.list(run.results))
    return IndexSet.of(index for index in found if index is not None)


def _output_problems(event: OutputRequested, run: Run, objects: ObjectStore) -> tuple[Problem, ...]:
    """The problems of the requested output configuration."""
    from epydrop.experiment import read_experiment, with_output_config  # noqa: PLC0415 - rare, and slow to import

    try:
        experiment = read_experiment(objects.read(names.RESOLVED_EXPERIMENT), names.RESOLVED_EXPERIMENT, run.exp_id)
        with_output_config(experiment, event.config)
    except BadInput as error:
        return error.problems
    except NotFound as error:
        return (Problem(f"the experiment of the run is gone: {error}"),)
    return ()
