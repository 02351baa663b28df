"""A digest of failures: error records grouped by fingerprint.

At most 200 records are read; tasks without a record are grouped by their cause.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from epydrop.core.causes import Cause, cause_of
from epydrop.core.observed_facts import MAX_RECORDS
from epydrop.core.run import Attempt, FailureGroup, Run
from epydrop.errors import ExitCode
from epydrop.formats import names
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage
from epydrop.formats.serialization import UnknownFormat, from_json
from epydrop.formats.stage_records import ErrorRecord
from epydrop.stores.port import ObjectStore

MAX_GROUPS = 20


def failures_so_far(
    run: Run, attempt: Attempt, causes: dict[Cause, IndexSet], missing: IndexSet, objects: ObjectStore
) -> tuple[FailureGroup, ...]:
    """The missing results grouped by the reason, over all attempts of this round, newest first."""
    records: list[ErrorRecord] = []
    known = dict(causes)
    rest = missing
    for earlier in reversed([a for a in run.attempts_of(Stage.RUNNER) if a.orders.results == run.results]):
        of_this = causes if earlier.job_id == attempt.job_id else earlier.causes
        here = [record for record in records_of(earlier, objects, MAX_RECORDS - len(records)) if record.index in rest]
        records += here
        for cause, indices in of_this.items():
            if earlier.job_id != attempt.job_id:
                known[cause] = known.get(cause, IndexSet()) | (indices & rest)
            rest = rest - indices
    return grouped(records, known, missing)


def records_of(attempt: Attempt, objects: ObjectStore, limit: int = MAX_RECORDS) -> Iterator[ErrorRecord]:
    """The error record of the last try of each failed index; at most ``limit`` records are read."""
    folder = names.errors_folder(attempt.stage, attempt.orders.attempt)
    last = _last_of_each_index(info.name for info in objects.list(folder))
    for name in islice(last, max(0, limit)):
        yield _record(name, attempt, objects)


def _last_of_each_index(ordered_names: Iterator[str]) -> Iterator[str]:
    held, held_index = "", -1
    for name in ordered_names:
        parsed = names.parse_error_name(name)
        if parsed is None:  # refused.json
            continue
        if held and parsed[0] != held_index:
            yield held
        held, held_index = name, parsed[0]
    if held:
        yield held


def _record(name: str, attempt: Attempt, objects: ObjectStore) -> ErrorRecord:
    """The record, or a substitute that says why it cannot be read, so that one bad record hides no others."""
    try:
        return from_json(ErrorRecord, objects.read(name), name)
    except UnknownFormat as error:
        index, retry = names.parse_error_name(name) or (0, 0)
        orders = attempt.orders
        return ErrorRecord(
            run_id=orders.run_id,
            stage=orders.stage,
            attempt=orders.attempt,
            index=index,
            retry=retry,
            exit_code=ExitCode.BUG,
            type="damaged error record",
            message=str(error),
            traceback="",
            fingerprint="damaged",
        )


def grouped(
    records: Iterator[ErrorRecord] | list[ErrorRecord], causes: dict[Cause, IndexSet], wanted: IndexSet
) -> tuple[FailureGroup, ...]:
    """The failures of these indices, grouped by fingerprint or, without a record, by cause; largest group first."""
    samples: dict[str, ErrorRecord] = {}
    counts: Counter[str] = Counter()
    recorded = []
    for record in records:
        samples.setdefault(record.fingerprint, record)
        counts[record.fingerprint] += 1
        recorded.append(record.index)
    groups = [_group_of(samples[fingerprint], count) for fingerprint, count in counts.items()]
    unrecorded = wanted - IndexSet.of(recorded)
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
