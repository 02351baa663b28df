"""History entries: what is kept of each change of a run, bounded however many tasks there are."""

from __future__ import annotations

from dataclasses import replace

from epydrop.core.decide import Decision
from epydrop.core.events import RunEvent
from epydrop.core.observed_facts import Facts
from epydrop.core.run import HistoryEntry
from epydrop.formats.index_set import IndexSet
from epydrop.formats.serialization import to_document

SPANS = 20  # index spans kept per fact


def history_entry(decision: Decision, event: RunEvent, facts: Facts) -> HistoryEntry:
    """The history entry for a decision that changed the run."""
    return HistoryEntry(
        serial=decision.run.serial,
        at=decision.run.updated,
        event={"kind": type(event).__name__, **to_document(event)},
        facts=_bounded(facts),
        row=decision.row,
        phase=decision.run.phase,
        reason=decision.reason,
        effects=tuple(effect.id for effect in decision.effects),
    )


def _bounded(facts: Facts) -> dict[str, object]:
    """The facts, bounded in size: without the offer, and with long index sets cut short."""
    slim = replace(
        facts,
        offer=None,
        missing=_cut(facts.missing),
        refused=_cut(facts.refused),
        causes={cause: _cut(indices) or IndexSet() for cause, indices in facts.causes.items()},
        manifest=facts.manifest and replace(facts.manifest, locations={}),
    )
    document = to_document(slim)
    document["missing_count"] = None if facts.missing is None else len(facts.missing)
    return {key: value for key, value in document.items() if value not in (None, [], {}, "")}


def _cut(indices: IndexSet | None) -> IndexSet | None:
    return None if indices is None else IndexSet(indices.spans[:SPANS])
