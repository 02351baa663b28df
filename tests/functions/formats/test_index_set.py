"""Sets of task indices behave like sets, and stay small as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.factories import an_attempt

from epydrop.formats.index_set import IndexSet
from epydrop.formats.orders import Orders
from epydrop.formats.serialization import to_document

some = st.sets(st.integers(0, 60))


@given(some, some)
def test_they_form_unions_intersections_and_differences_like_sets(one: set[int], other: set[int]) -> None:
    """Compared with Python's own."""
    a, b = IndexSet.of(one), IndexSet.of(other)

    assert (set(a | b), set(a & b), set(a - b)) == (one | other, one & other, one - other)
    assert (len(a), bool(a), list(a)) == (len(one), bool(one), sorted(one))
    assert all((index in a) == (index in one) for index in range(61))


@given(some)
def test_their_text_gives_them_back(one: set[int]) -> None:
    """'0-4,7,9-12'."""
    assert IndexSet.parse(str(IndexSet.of(one))) == IndexSet.of(one)


@given(some.filter(bool), st.data())
def test_the_nth_is_the_one_at_that_position(one: set[int], data: st.DataObject) -> None:
    """This is how a task of a job learns its index in the run."""
    position = data.draw(st.integers(0, len(one) - 1))

    index = sorted(one)[position]
    assert IndexSet.of(one).nth(position) == index
    assert IndexSet.of(one).position_of(index) == position


def test_there_is_none_past_the_end() -> None:
    """A job with more tasks than orders is wired wrongly."""
    with pytest.raises(IndexError, match="position 3"):
        IndexSet.below(3).nth(3)


@pytest.mark.parametrize("text", ["a", "1-", "-1", "3-1", "1,,2", "5,1", "1-2,2-3", "1 - 2"])
def test_other_text_is_refused(text: str) -> None:
    """Rather than read as something near it."""
    with pytest.raises(ValueError, match=r"expected|spans"):
        IndexSet.parse(text)


def test_all_tasks_of_a_large_run_are_a_few_characters() -> None:
    """A document in the store has a limit of a megabyte."""
    assert str(IndexSet.below(100_000)) == "0-99999"
    assert str(IndexSet.below(0)) == ""


def test_they_are_stored_as_their_text() -> None:
    """Orders are read by people too."""
    orders: Orders = an_attempt(indices=IndexSet.of([1, 2, 5])).orders

    assert to_document(orders)["indices"] == "1-2,5"
