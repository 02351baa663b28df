"""Explains why tasks have no result: the last error of each, and groups of tasks that failed alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import ERRORS, Stage
from epydrop.formats.orders import Orders
from epydrop.formats.serialization import UnknownFormat, from_json
from epydrop.formats.stage_records import ErrorRecord
from epydrop_stages.artifacts.metered_store import MeteredStore
from epydrop_stages.contract.suite import Gap, TaskLine
from epydrop_stages.stages.context import TaskContext

_MAX_EXPLAINED = 200  # missing tasks whose error record is read; the report shows groups, not thousands of lines

Missing = list[tuple[TaskLine, str]]


def explain_missing(context: TaskContext, missing: Sequence[TaskLine]) -> tuple[Missing, list[Gap]]:
    """Each missing task with its reason, and the groups of tasks, largest first."""
    records = _newest_records(context.store, [line.index for line in missing])
    reasons: Missing = []
    groups: dict[tuple[str, str], list[int]] = {}
    for line in missing:
        _, record = records.get(line.index, ("", None))
        cause = _cause(context.orders, line.index)
        reasons.append((line, _sentence(record) if record else cause))
        groups.setdefault((cause, record.fingerprint if record else ""), []).append(line.index)
    gaps = [_gap(cause, indices, records) for (cause, _), indices in groups.items()]
    return reasons, sorted(gaps, key=lambda gap: -len(gap.tasks))


def _gap(cause: str, indices: Sequence[int], records: dict[int, tuple[str, ErrorRecord]]) -> Gap:
    name, record = records.get(indices[0], ("", None))
    if record is None:
        return Gap(cause, "no error record was left", IndexSet.of(indices))
    return Gap(cause, _sentence(record), IndexSet.of(indices), record.fingerprint, name)


def _newest_records(store: MeteredStore, indices: Iterable[int]) -> dict[int, tuple[str, ErrorRecord]]:
    """Index -> name and content of the newest error record of that runner task."""
    wanted = set(sorted(indices)[:_MAX_EXPLAINED])
    newest: dict[int, tuple[tuple[int, int], str]] = {}
    # One listing instead of a guess per index: a task may have failed in any attempt and any of Batch's retries.
    for info in store.list(f"{ERRORS}{Stage.RUNNER}/") if wanted else ():
        place = _try_of(info.name)
        if place and place[1] in wanted:
            attempt, index, retry = place
            newest[index] = max(newest.get(index, ((0, 0), "")), ((attempt, retry), info.name))
    names = {index: name for index, (_, name) in newest.items()}
    read = zip(names.items(), store.read_each(names.values()), strict=True)
    records = ((index, name, _record(data, name)) for (index, name), data in read)
    return {index: (name, record) for index, name, record in records if record}


def _record(data: bytes | None, name: str) -> ErrorRecord | None:
    """None for a record of another version: the task is then explained by its cause alone."""
    try:
        return from_json(ErrorRecord, data, name) if data is not None else None
    except UnknownFormat:
        return None


def _try_of(name: str) -> tuple[int, int, int] | None:
    """Attempt, index and retry from the name of an error record; None for other names."""
    *_, attempt, file = name.split("/")
    index, _, retry = file.removesuffix(".json").partition("-")
    if not (attempt.isdigit() and index.isdigit() and retry.isdigit()):
        return None
    return int(attempt), int(index), int(retry)


def _cause(orders: Orders, index: int) -> str:
    """The cause of a missing result according to the orders; without one, the task was killed or never started."""
    causes = [cause.replace("_", " ") for cause, indices in orders.causes.items() if index in indices]
    return causes[0] if causes else "no error record"


def _sentence(record: ErrorRecord) -> str:
    return f"{record.type}: {record.message} (exit code {record.exit_code}, attempt {record.attempt})"
