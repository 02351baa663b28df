"""Parses the rows of a data file into observations: dates in order, counts of people, no gap in the fitting window.

Observations before the fitting window are ignored; those after it are kept but held back from the calibration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from epydrop.errors import BadInput, Problem
from epydrop.experiment.sections import Data
from epydrop_stages.contract.results import Observations
from epydrop_stages.inputs.data_file import Row, listed, names_in_file, read_rows
from epydrop_stages.inputs.observations import DAYS_OF

_NOT_REPORTED = {"", "na", "nan", "null", "none"}  # spellings of a missing value in R, pandas and spreadsheets
_MAX_PROBLEMS = 20  # after so many bad rows it is the file that needs attention


def read_observations(
    data: Data, populations: Sequence[str], variable: str, workspace: Path
) -> dict[str, Observations]:
    """Observations of each population. Raises BadInput with all problems of the file, each with its row number."""
    rows = read_rows(data, workspace)
    names = names_in_file(data, populations, list(rows))
    found = {population: _Series(data, name) for population, name in names.items()}
    for series in found.values():
        series.read(rows[series.name])
    problems = [problem for series in found.values() for problem in series.problems]
    if not problems:  # an unreadable row would be reported as a gap too
        problems.extend(_gaps(data, list(found.values())))
    if problems:
        raise BadInput(*first_problems(problems))
    return {population: series.observations(variable) for population, series in found.items()}


class _Series:
    """The data of one location: ``values`` from the start of the fitting window on, and ``problems`` of rows."""

    def __init__(self, data: Data, name: str) -> None:
        self.name = name
        self.values: dict[date, float] = {}
        self.problems: list[Problem] = []
        self.span: tuple[date, ...] = ()  # the first and the last date in the file
        self._data = data
        self._window = data.fitting_window
        self._rows: dict[date, int] = {}

    def read(self, rows: Sequence[Row]) -> None:
        """Parse all rows, which may be in any order."""
        dated = sorted((day, row.number, row) for row in rows if (day := self._date(row)))
        self.span = (dated[0][0], dated[-1][0]) if dated else ()
        for day, number, row in dated:
            if day < self._window.start_date:
                continue
            if day in self._rows:
                message = f"{day} is in row {self._rows[day]} already"
                self._problem(number, message, "keep one version of the data")
            elif (value := self._count(row, day)) is not None:
                self.values[day] = value
            self._rows.setdefault(day, number)  # dates without a value count for duplicates and intervals too
        self._check_steps()

    def lacking(self) -> str:
        """The dates in the fitting window without an observation, as text; empty if there is no gap."""
        window, step = self._window, timedelta(DAYS_OF[self._data.period])
        first = next(iter(self.values), None)
        if first is None or first > window.end_date:
            return f"from {window.start_date} to {window.end_date}; its dates go from {self.span[0]} to {self.span[1]}"
        day, missing = window.start_date + (first - window.start_date) % step, []
        while day <= window.end_date:
            if day not in self.values:
                missing.append(str(day))
            day += step
        return f"on {listed(missing)}" if missing else ""

    def observations(self, variable: str) -> Observations:
        """The observations; ``fitted`` is False for those after the fitting window."""
        return Observations(
            variable,
            self._data.period,
            np.array(list(self.values), dtype="datetime64[D]"),
            np.array(list(self.values.values()), dtype=float),
            np.array([day <= self._window.end_date for day in self.values], dtype=bool),
        )

    def _date(self, row: Row) -> date | None:
        # Spreadsheets and databases export dates with a time of midnight.
        text = row.date[:10] if row.date[10:11] in {" ", "T"} else row.date
        try:
            return date.fromisoformat(text)
        except ValueError:
            self._problem(row.number, f"expected a date such as 2026-11-28, got {row.date!r}")
            return None

    def _count(self, row: Row, day: date) -> float | None:
        """Number of people; None if not reported, which is an error within the fitting window."""
        if row.value.lower() in _NOT_REPORTED:
            if day <= self._window.end_date:
                self._problem(row.number, f"there is no value on {day}, which is in the fitting window")
            return None
        try:
            value = float(row.value)
        except ValueError:
            value = -1.0
        if value < 0 or not value.is_integer():  # is_integer() is False for inf and nan too
            self._problem(row.number, f"expected a number of people, 0, 1, 2 and so on, got {row.value!r}")
            return None
        return value

    def _check_steps(self) -> None:
        """Report the first date that is not a whole number of periods after the earliest one."""
        length, first = DAYS_OF[self._data.period], min(self._rows, default=None)
        for day, number in self._rows.items():
            if first and (day - first).days % length:
                message = f"{day} is not a whole number of weeks after {first}, which weekly data must be"
                self._problem(number, message, "for daily counts set data.period: day")
                return

    def _problem(self, number: int, message: str, hint: str = "") -> None:
        text = f"data: file: {self._data.file}, row {number}: {message}"
        self.problems.append(Problem(text, hint=hint, path=("data", "file")))


def _gaps(data: Data, every: Sequence[_Series]) -> Iterator[Problem]:
    """Gaps in the fitting window: one problem for all locations with the same gap."""
    lacking: dict[str, list[str]] = {}
    for series in every:
        if when := series.lacking():
            lacking.setdefault(when, []).append(series.name)
    for when, names in lacking.items():
        of = f" of {listed(names)}" if any(names) else ""
        message = f"data: fitting_window: {data.file} has no observation{of} {when}"
        yield Problem(message, path=("data", "fitting_window"))


def first_problems(problems: Sequence[Problem]) -> list[Problem]:
    """The first problems, and how many more there are."""
    more = len(problems) - _MAX_PROBLEMS
    return [*problems[:_MAX_PROBLEMS], *([Problem(f"and {more} more problems like these")] if more > 0 else [])]
