"""History entries: what is kept of each change of a run, bounded however many tasks there are.

An entry that was not cut holds all that its decision was made from, but for the run: the first entry has the whole of
that, and each one what changed. ``event_of``, ``facts_of`` and ``run_after`` read what ``history_entry`` wrote.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any, get_args

from epydrop.core.decide import Decision
from epydrop.core.events import RunEvent
from epydrop.core.observed_facts import Facts
from epydrop.core.run import HistoryEntry, Run
from epydrop.formats.document_changes import changes_between, with_changes
from epydrop.formats.index_set import IndexSet
from epydrop.formats.serialization import UnknownFormat, from_part, to_document

# Bytes of JSON, for facts and for changes alike: both always fit into the 1 MiB of a document in Firestore. Of 10,000
# tasks of which every other one fails, the facts take 50 kB.
MOST = 250_000
SPANS = 20  # index spans, and problems, kept of each fact that is cut

_EVENTS: dict[str, Any] = {kind.__name__: kind for kind in get_args(RunEvent)}


def history_entry(before: Run | None, decision: Decision, event: RunEvent, facts: Facts) -> HistoryEntry:
    """The history entry for a decision that changed the run."""
    seen = _document_of(facts)
    is_cut = _size(seen) > MOST
    kept = _document_of(_cut(facts)) if is_cut else seen
    if facts.missing is not None:
        kept["missing_count"] = len(facts.missing)  # for people
    changes = tuple(changes_between(before and to_document(before), to_document(decision.run)))
    return HistoryEntry(
        serial=decision.run.serial,
        at=decision.run.updated,
        event={"kind": type(event).__name__, **to_document(event)},
        facts=kept,
        row=decision.row,
        phase=decision.run.phase,
        reason=decision.reason,
        effects=tuple(effect.id for effect in decision.effects),
        is_cut=is_cut,
        changes=None if _size([change.value for change in changes]) > MOST else changes,
    )


def event_of(entry: HistoryEntry) -> RunEvent:
    """The event of an entry. Raises UnknownFormat for one that this version does not know."""
    document = dict(entry.event)
    kind = _EVENTS.get(str(document.pop("kind", "")))
    if kind is None:
        raise UnknownFormat(f"{_name(entry)} is about an unknown event, {entry.event.get('kind')!r}")
    event: RunEvent = from_part(kind, document, f"the event of {_name(entry)}")
    return event


def facts_of(entry: HistoryEntry) -> Facts:
    """The facts of an entry, as far as they were kept. Raises UnknownFormat."""
    return from_part(Facts, entry.facts, f"the facts of {_name(entry)}")


def run_after(before: Run | None, entry: HistoryEntry) -> Run:
    """The run as the entry left it. Raises UnknownFormat if the changes do not fit the run before."""
    try:
        document = with_changes(before and to_document(before), entry.changes or ())
    except (LookupError, TypeError) as error:
        raise UnknownFormat(f"{_name(entry)} does not follow from the entries before it: {error}") from error
    return from_part(Run, document, f"the run after {_name(entry)}")


def _name(entry: HistoryEntry) -> str:
    return f"entry {entry.serial} of the history"


def _document_of(facts: Facts) -> dict[str, object]:
    """What was observed. A fact that nobody looked at is left out."""
    return {key: value for key, value in to_document(facts).items() if value != _nothing_seen()[key]}


@cache
def _nothing_seen() -> dict[str, Any]:
    return to_document(Facts())


def _cut(facts: Facts) -> Facts:
    """The facts without the offer and the locations, and with the beginnings of long lists."""
    return replace(
        facts,
        offer=None,
        missing=_beginning(facts.missing),
        refused=_beginning(facts.refused),
        causes={cause: _beginning(indices) or IndexSet() for cause, indices in facts.causes.items()},
        problems=facts.problems[:SPANS],
        manifest=facts.manifest and replace(facts.manifest, locations={}),
    )


def _beginning(indices: IndexSet | None) -> IndexSet | None:
    return None if indices is None else IndexSet(indices.spans[:SPANS])


def _size(value: object) -> int:
    """The bytes of the value as JSON."""
    return len(json.dumps(value, ensure_ascii=False).encode())
