"""Days to the periods of the data: sums of whole weeks, or the state at their end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epydrop_stages.contract.results import Observations
from epydrop_stages.inputs.observations import Periods, by_period

START = np.datetime64("2026-01-01")


def observed(variable="A_to_B_total", period="week", first="2026-01-10"):
    return Observations(variable, period, np.array([first], "datetime64[D]"), np.zeros(1), np.ones(1, bool))


def days(count):
    return START + np.arange(count)


@given(st.integers(1, 60), st.integers(-20, 20), st.integers(0, 2**32 - 1))
def test_a_week_is_the_sum_of_the_seven_days_up_to_its_date(count, shift, seed):
    """Whole weeks only, in step with the dates observed, wherever these lie."""
    values = np.random.default_rng(seed).integers(0, 100, (3, count)).astype(float)
    first = np.datetime64("2026-01-10") + shift

    dates, sums = by_period(observed(first=first), days(count), values)

    possible = [day for day in days(count)[6:] if (day - first).astype(int) % 7 == 0]
    assert list(dates) == possible
    for date, column in zip(dates, sums.T, strict=True):
        end = (date - START).astype(int)
        assert np.array_equal(column, values[:, end - 6 : end + 1].sum(axis=1))


def test_a_compartment_counts_at_the_end_of_the_week():
    """People who are somewhere are not added up over days."""
    values = np.arange(20.0)[np.newaxis]

    dates, found = by_period(observed("Infected_total"), days(20), values)

    assert [str(day) for day in dates] == ["2026-01-10", "2026-01-17"]
    assert found.tolist() == [[9.0, 16.0]]


@pytest.mark.parametrize("variable", ["A_to_B_total", "Infected_total"])
def test_days_stay_days(variable):
    """Whatever is counted."""
    values = np.arange(5.0)[np.newaxis]

    dates, found = by_period(observed(variable, "day", "2026-01-03"), days(5), values)

    assert np.array_equal(dates, days(5))
    assert np.array_equal(found, values)


def test_periods_can_be_narrowed_to_those_observed():
    """What a calibration compares."""
    periods = Periods.of(observed(), days(31)).at(np.array(["2026-01-17", "2026-03-07"], "datetime64[D]"))

    assert [str(day) for day in periods.dates] == ["2026-01-17"]
    assert periods.values(np.ones(31)).tolist() == [7.0]
