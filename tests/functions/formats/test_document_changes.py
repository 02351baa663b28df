"""A document and what changed make the newer document, whatever the two are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epydrop.formats.document_changes import Change, changes_between, with_changes

KEYS = st.sampled_from(["a", "b", "c"])  # few, so that two documents have places in common
SCALARS = st.one_of(st.none(), st.integers(0, 3), st.text(max_size=2))
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3))
)


@given(DOCUMENTS, DOCUMENTS)
def test_the_older_document_and_the_changes_make_the_newer_one(old: Any, new: Any) -> None:
    """Also where it lost keys or items, or became something else."""
    assert with_changes(old, changes_between(old, new)) == new


def test_only_the_places_that_changed_are_named() -> None:
    """An attempt that was added, and one count in an earlier one."""
    old = {"phase": "runner", "attempts": [{"state": "RUNNING", "counts": {"failed": 0, "pending": 4}}]}
    new = {
        "phase": "runner",
        "attempts": [{"state": "RUNNING", "counts": {"failed": 1, "pending": 4}}, {"state": None}],
    }

    assert list(changes_between(old, new)) == [
        Change(("attempts", 0, "counts", "failed"), 1),
        Change(("attempts", 1), {"state": None}),
    ]


def test_a_document_is_not_changed_in_place() -> None:
    """The run before is needed for the decision that the entry is about."""
    old: dict[str, Any] = {"attempts": [{"counts": {"failed": 0}}]}

    with_changes(old, [Change(("attempts", 0, "counts", "failed"), 1)])

    assert old == {"attempts": [{"counts": {"failed": 0}}]}


@pytest.mark.parametrize("path", [("b", "c"), ("list", 2), ("list", "x"), ("list", -1), ("a", "x"), (0, 0)])
def test_a_place_that_is_not_there_is_an_error(path: tuple[str | int, ...]) -> None:
    """Rather than a document that never was."""
    with pytest.raises((LookupError, TypeError)):
        with_changes({"a": 1, "list": [1]}, [Change(path, 5)])
