"""Gathers the facts: the job first, its product after, and nothing that no decision could need.

Cost: one read of the job for each event. Only when an attempt has ended are its failed tasks paged, the
results listed, and at most 200 error records read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from epydrop import names
from epydrop.documents import UnknownFormat, from_json
from epydrop.errors import BadInput, NotThere, Problem
from epydrop.events import OutputRequested, RetryRequested, RunEvent
from epydrop.facts import Facts, ManifestSeen, cause_of
from epydrop.indices import Indices
from epydrop.jobs import JobState, JobView
from epydrop.names import Stage
from epydrop.ports import JobService, ObjectStore
from epydrop.records import ErrorRecord, Manifest, Refusal
from epydrop.run import Attempt, Cause, FailureGroup, Run
from epydrop.situation import ALIKE_FAILURES

MAX_RECORDS = 200
MAX_GROUPS = 20


def observe(run: Run, event: RunEvent, jobs: JobService, objects: ObjectStore) -> Facts:
    """The facts about the run's current attempt; ``objects`` is the store of the run's folder."""
    attempt = run.current
    if attempt is None:
        return Facts()
    job = jobs.get(attempt.job_id)
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


def _causes(attempt: Attempt, job: JobView | None, jobs: JobService) -> dict[Cause, Indices]:
    """Each failed index of the attempt under its cause."""
    if job is None or job.state is not JobState.FAILED:
        return attempt.causes
    if attempt.causes:
        return attempt.causes  # an ended job tells the same for ever
    found: dict[Cause, list[int]] = {}
    for task in jobs.failed_tasks(attempt.job_id):
        found.setdefault(cause_of(task.exit_code), []).append(attempt.orders.indices.nth(task.position))
    if not found:  # the job failed before it had tasks
        return {Cause.NEVER_RAN: attempt.orders.indices}
    return {cause: Indices.of(indices) for cause, indices in found.items()}


def _with_failures_alike(seen: Facts, attempt: Attempt, job: JobView, objects: ObjectStore) -> Facts:
    """For a live job whose tasks only fail: the records that tell whether they fail alike."""
    if job.counts.failed < ALIKE_FAILURES or job.counts.succeeded:
        return seen
    return replace(seen, failures=_groups(_records(attempt, objects), {}, attempt.orders.indices))


# -- the product of each stage -------------------------------------------------------------------


def _builder_facts(
    seen: Facts, run: Run, attempt: Attempt, causes: dict[Cause, Indices], objects: ObjectStore
) -> Facts:
    manifest = _manifest(run, objects)
    if manifest is not None:
        return replace(seen, causes=causes, manifest=manifest)
    records = list(_records(attempt, objects))
    problems = tuple(
        Problem(problem.message, problem.file, problem.line, problem.column, problem.hint)
        for record in records
        for problem in record.problems
    )
    failures = _groups(records, causes, attempt.orders.indices)
    return replace(seen, causes=causes, problems=problems, failures=failures)


def _runner_facts(seen: Facts, run: Run, attempt: Attempt, causes: dict[Cause, Indices], objects: ObjectStore) -> Facts:
    if seen.job is not None and seen.job.state is JobState.SUCCEEDED:
        missing = run.missing - attempt.orders.indices
    else:
        missing = Indices.below(run.tasks or 0) - _results(run, objects)
        if attempt.orders.overwrite:  # what lies there for a failed index is the result that was refused
            for failed in causes.values():
                missing = missing | failed
    if not missing:
        return replace(seen, causes=causes, missing=missing)
    return replace(seen, causes=causes, missing=missing, failures=_failures(run, attempt, causes, missing, objects))


def _output_facts(seen: Facts, attempt: Attempt, causes: dict[Cause, Indices], objects: ObjectStore) -> Facts:
    if objects.stat(names.complete_name(attempt.orders.outputs)) is not None:
        return replace(seen, causes=causes, complete=True)
    name = names.refused_name(attempt.orders.attempt)
    refused = from_json(Refusal, objects.read(name), name).indices if objects.stat(name) else None
    records = list(_records(attempt, objects))
    return replace(seen, causes=causes, refused=refused, failures=_groups(records, causes, attempt.orders.indices))


def _manifest(run: Run, objects: ObjectStore) -> ManifestSeen | None:
    name = names.manifest_name(run.inputs)
    try:
        manifest = from_json(Manifest, objects.read(name), name)
    except NotThere:
        return None
    if manifest.run_id != run.run_id:
        raise UnknownFormat(f"{name} belongs to run {manifest.run_id}, not to {run.run_id}")
    return ManifestSeen(manifest.tasks, manifest.locations)


def _results(run: Run, objects: ObjectStore) -> Indices:
    """The indices whose results are there, by a paged listing."""
    found = (names.parse_result_name(info.name) for info in objects.list(run.results))
    return Indices.of(index for index in found if index is not None)


def _output_problems(event: OutputRequested, run: Run, objects: ObjectStore) -> tuple[Problem, ...]:
    """What is wrong with the configuration of the outputs that a person asks for."""
    from epydrop.experiment import read_experiment, with_output_config  # noqa: PLC0415 - rare, and slow to import

    try:
        experiment = read_experiment(objects.read(names.RESOLVED_EXPERIMENT), names.RESOLVED_EXPERIMENT, run.exp_id)
        with_output_config(experiment, event.config)
    except BadInput as error:
        return error.problems
    return ()


# -- why tasks failed ----------------------------------------------------------------------------


def _failures(
    run: Run, attempt: Attempt, causes: dict[Cause, Indices], missing: Indices, objects: ObjectStore
) -> tuple[FailureGroup, ...]:
    """The missing results grouped by why they are missing, from this attempt back to the first of the round."""
    records: list[ErrorRecord] = []
    known = dict(causes)
    rest = missing
    for earlier in reversed([a for a in run.attempts_of(Stage.RUNNER) if a.orders.results == run.results]):
        of_this = causes if earlier.job_id == attempt.job_id else earlier.causes
        here = [record for record in _records(earlier, objects, MAX_RECORDS - len(records)) if record.index in rest]
        records += here
        for cause, indices in of_this.items():
            if earlier.job_id != attempt.job_id:
                known[cause] = known.get(cause, Indices()) | (indices & rest)
            rest = rest - indices
    return _groups(records, known, missing)


def _records(attempt: Attempt, objects: ObjectStore, limit: int = MAX_RECORDS) -> Iterator[ErrorRecord]:
    """Of each index that left error records, the one of its last try; at most ``limit`` of them."""
    folder = names.errors_folder(attempt.stage, attempt.orders.attempt)
    last = _last_of_each_index(info.name for info in objects.list(folder))
    for name in islice(last, max(0, limit)):
        yield from_json(ErrorRecord, objects.read(name), name)


def _last_of_each_index(ordered_names: Iterator[str]) -> Iterator[str]:
    held, held_index = "", ""
    for name in ordered_names:
        index, dash, _ = name.rsplit("/", 1)[-1].partition("-")
        if not dash:  # refused.json
            continue
        if held and index != held_index:
            yield held
        held, held_index = name, index
    if held:
        yield held


def _groups(
    records: Iterator[ErrorRecord] | list[ErrorRecord], causes: dict[Cause, Indices], wanted: Indices
) -> tuple[FailureGroup, ...]:
    """The failures of the wanted indices: by fingerprint where a record was left, else by cause; largest first."""
    samples: dict[str, ErrorRecord] = {}
    counts: Counter[str] = Counter()
    recorded = []
    for record in records:
        samples.setdefault(record.fingerprint, record)
        counts[record.fingerprint] += 1
        recorded.append(record.index)
    groups = [_group_of(samples[fingerprint], count) for fingerprint, count in counts.items()]
    unrecorded = wanted - Indices.of(recorded)
    for cause, indices in causes.items():
        silent = indices & unrecorded
        if silent:
            groups.append(FailureGroup(cause, len(silent), next(iter(silent))))
    return tuple(sorted(groups, key=lambda group: -group.count)[:MAX_GROUPS])


def _group_of(sample: ErrorRecord, count: int) -> FailureGroup:
    return FailureGroup(
        cause=cause_of(sample.exit_code),
        count=count,
        sample_index=sample.index,
        fingerprint=sample.fingerprint,
        type=sample.type,
        message=sample.message[:500],
        record=names.error_name(sample.stage, sample.attempt, sample.index, sample.retry),
    )
