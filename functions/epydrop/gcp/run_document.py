"""How a run and its history look in Firestore: short fields for people and queries, and the whole as one record.

The record is what is read back; all else is derived from it at each write. Pure, but for Firestore's own types.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from epydrop.core.run import Attempt, HistoryEntry, Run
from epydrop.errors import EpydropError
from epydrop.formats.serialization import UnknownFormat, from_document, to_document

RUNS = "runs"  # the collection
HISTORY = "history"  # the subcollection of each run

KEPT_FOR = timedelta(days=90)  # after a run has settled
HISTORY_KEPT_FOR = KEPT_FOR + timedelta(days=7)  # Firestore deletes within days of the time: the run goes first

MAX_TEXT = 100_000  # bytes of a record that stay text; longer ones are compressed
MAX_RECORD = 1_000_000  # bytes; Firestore takes 1 MiB a document (docs: firestore/quotas), and the rest needs room
SHOWN = 20  # problems and failures that people see; the record has them all

T = TypeVar("T", Run, HistoryEntry)
Fields = dict[str, Any]


def run_fields(run: Run, newest: HistoryEntry) -> Fields:
    """The document of a run whose history ends in this entry. ``expires_at`` is there only when the run is settled."""
    fields: Fields = {
        "exp_id": run.exp_id,
        "phase": str(run.phase),
        "reason": run.reason,
        "progress": progress_of(run),
        "tasks": run.tasks,
        "created": run.created,
        "updated": run.updated,
        "dropped": f"gs://{run.dropped.bucket}/{run.dropped.name}#{run.dropped.generation}",
        "folder": run.run_url,
        "outputs": run.run_url + run.published if run.published else "",
        "quality": run.quality,
        "attempts": [_attempt_fields(attempt) for attempt in run.attempts],
        "problems": list(run.problems[:SHOWN]),
        "failures": [str(group) for group in run.failures[:SHOWN]],
        "unfinished": is_unfinished(run),
        "entries": newest.serial,  # a write that changes nothing would not change the update time either
        "format": run.format,
        "record": _record(run, f"run {run.run_id}"),
    }
    return fields if is_unfinished(run) else {**fields, "expires_at": run.updated + KEPT_FOR}


def entry_fields(entry: HistoryEntry, run_id: str) -> Fields:
    """The document of one entry of a run's history."""
    return {
        "serial": entry.serial,
        "at": entry.at,
        "event": str(entry.event.get("kind", "")),
        "row": entry.row,
        "phase": str(entry.phase),
        "reason": entry.reason,
        "effects": list(entry.effects),
        "format": entry.format,
        "record": _record(entry, f"entry {entry.serial} of run {run_id}"),
    }


def read_fields(kind: type[T], fields: Mapping[str, Any], source: str) -> T:
    """The value that the fields were made of. Raises UnknownFormat, also for fields that another program wrote."""
    if fields.get("format") != kind.FORMAT:  # before the record is touched: a newer version may keep it otherwise
        return from_document(kind, {"format": fields.get("format")}, source)
    record = fields.get("record")
    try:
        text = lzma.decompress(record) if isinstance(record, bytes) else record
        document = json.loads(text or "")
    except (TypeError, ValueError, RecursionError, lzma.LZMAError) as error:
        raise UnknownFormat(f"{source} has a record that cannot be read: {error}") from error
    return from_document(kind, document, source)


def is_unfinished(run: Run) -> bool:
    """Whether the sweep must look after the run."""
    return run.phase.is_open or run.unsettled


def expiry_of_history(run: Run) -> datetime | None:
    """When the history of a run may go: after the run itself, and never while it is unfinished."""
    return None if is_unfinished(run) else run.updated + HISTORY_KEPT_FOR


def progress_of(run: Run) -> str:
    """How far the run is, in a few words."""
    attempt = run.current
    if run.phase.is_open and attempt is not None:
        return f"{attempt.stage} {attempt.orders.attempt}: {_counts(attempt)}"
    if run.tasks is None:
        return ""
    return f"{run.tasks - len(run.missing)} of {run.tasks} results"


def _attempt_fields(attempt: Attempt) -> Fields:
    return {
        "job": attempt.job_id,
        "state": str(attempt.state or "not seen yet"),
        "tasks": _counts(attempt),
        "causes": ", ".join(f"{len(indices)} {cause}" for cause, indices in attempt.causes.items()),
        "begun": attempt.begun,
        "ended": attempt.ended,
    }


def _counts(attempt: Attempt) -> str:
    counts = attempt.counts
    done = f"{counts.succeeded} of {len(attempt.orders.indices)} done"
    rest = {"failed": counts.failed, "running": counts.running, "never ran": counts.never_ran}
    return ", ".join([done, *(f"{number} {what}" for what, number in rest.items() if number)])


def _record(value: Run | HistoryEntry, source: str) -> str | bytes:
    """The value as JSON, compressed when it is long: tasks that fail here and there make long lists of indices.

    Of 100,000 tasks, half of them failing at random in each of thirteen attempts and for three causes, 3.2 MB become
    0.44 MB. Raises EpydropError for what is too long even so.
    """
    text = json.dumps(to_document(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if len(text) <= MAX_TEXT and len(text.encode()) <= MAX_TEXT:
        return text
    record = lzma.compress(text.encode())
    if len(record) > MAX_RECORD:
        raise EpydropError(
            f"{source} takes {len(record)} bytes, and Firestore holds {MAX_RECORD}; start the experiment again"
        )
    return record
