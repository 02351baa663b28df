"""What is stored reads back as it was, and a document of another format is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.factories import NOW, RUN_ID, a_failure, a_run, an_attempt, seen

from epydrop.core.causes import Cause
from epydrop.core.phases import Phase
from epydrop.core.run import Changes, HistoryEntry, Retry, Run
from epydrop.formats.document_changes import Change
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage
from epydrop.formats.orders import Orders
from epydrop.formats.serialization import UnknownFormat, from_document, from_json, to_document, to_json
from epydrop.formats.stage_records import Complete, ErrorRecord, Manifest, RecordedProblem, Refusal, Telemetry

EVERYTHING = [
    a_run(
        Phase.FAILED,
        replace(seen(an_attempt(Stage.RUNNER)), causes={Cause.CODE: IndexSet.of([1, 3])}),
        failures=(a_failure(),),
        pending=Retry("kick-1", "runner", Changes(memory_mib=8000)),
        missing=IndexSet.of([1, 3]),
        locations={"here": (0, 2)},
    ),
    an_attempt(Stage.OUTPUT, missing=IndexSet.of([3])).orders,
    HistoryEntry(
        serial=3,
        at=NOW,
        event={"kind": "CheckRequested"},
        facts={"missing_count": 2},
        row="at-work",
        phase=Phase.RUNNER,
        reason="why",
        effects=("submit:x",),
        is_cut=False,
        changes=(Change(("attempts", 0, "uid"), "x"),),
    ),
    Manifest(RUN_ID, 4, {"here": (0, 4)}, {"a": "b"}),
    ErrorRecord(RUN_ID, Stage.RUNNER, 1, 3, 0, 1, "E", "m", "t", "f", problems=(RecordedProblem("p", "f.yaml", 1, 2),)),
    Refusal(RUN_ID, {3: "truncated"}),
    Telemetry(RUN_ID, Stage.RUNNER, 1, 3, 0, 1.5, 2.5, 2.0, 130.0, 10, 20),
    Complete(RUN_ID, 1, {"report.html": "00"}, IndexSet.of([3])),
]


@pytest.mark.parametrize("value", EVERYTHING, ids=lambda value: type(value).__name__)
def test_it_reads_back_as_it_was(value: Any) -> None:
    """As JSON, and as the document that Firestore would hold."""
    assert from_json(type(value), to_json(value), "it") == value
    assert from_document(type(value), to_document(value), "it") == value


@pytest.mark.parametrize("value", EVERYTHING, ids=lambda value: type(value).__name__)
def test_a_newer_format_is_refused_by_name(value: Any) -> None:
    """Rather than half understood."""
    newer = {**to_document(value), "format": 2}

    with pytest.raises(UnknownFormat, match="runs/x has format 2, this version of epydrop reads format 1"):
        from_document(type(value), newer, "runs/x")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"format": 1}'])
def test_what_is_no_such_document_is_refused_by_name(text: bytes) -> None:
    """Half a file, or another one."""
    with pytest.raises(UnknownFormat, match=r"orders/runner-1\.json"):
        from_json(Orders, text, "orders/runner-1.json")


def test_an_unknown_field_is_refused() -> None:
    """A field that nothing reads would be silently lost at the next save."""
    document = {**to_document(a_run()), "colour": "red"}

    with pytest.raises(UnknownFormat, match="colour"):
        from_document(Run, document, "runs/x")


def test_an_entry_of_an_earlier_version_is_read() -> None:
    """It lacks the keys that came later."""
    entry = EVERYTHING[2]
    earlier = {key: value for key, value in to_document(entry).items() if key not in ("is_cut", "changes")}

    assert from_document(HistoryEntry, earlier, "it") == replace(entry, is_cut=None, changes=None)


def test_equal_values_have_equal_bytes() -> None:
    """Orders are compared by their digest."""
    orders = an_attempt().orders

    assert to_json(orders) == to_json(replace(orders))
