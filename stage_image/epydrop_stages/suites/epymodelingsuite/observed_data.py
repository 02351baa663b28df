"""Reads the observations as the package reads them, and finds what it would fail on or not notice.

Without a row for a location, or with a value that is not a number, the package's calibration accepts no particle and
never ends; rows out of order are compared with the wrong weeks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from epydrop.errors import BadInput, Problem
from epydrop_stages.contract.results import Observations
from epydrop_stages.inputs.observations import DAYS_OF
from epydrop_stages.inputs.series import first_problems
from epydrop_stages.suites.epymodelingsuite.configuration import Part

LOCATION_COLUMN = "geo_value"  # hard-coded in the package as of 0.1.0

_PATH = ("modelset", "calibration", "observed_data_path")
_MAX_LISTED = 3  # dates or locations in one message


@dataclass(frozen=True)
class DataFile:
    """The table of all observations; ``calibration`` is the modelset's section in the package's class."""

    part: Part
    calibration: Any
    table: pd.DataFrame

    @classmethod
    def open(cls, part: Part, calibration: Any, folder: Path) -> DataFile:
        """Read the file. Raises BadInput if it is not a CSV table or lacks a column."""
        name = calibration.observed_data_path
        try:
            table = pd.read_csv(folder / name)
        except (ValueError, OSError) as error:  # pandas' own errors are ValueErrors
            raise BadInput(part.problem(f"{name!r} cannot be read as CSV: {error}", _PATH)) from error
        spec = calibration.comparison[0]
        wanted = (LOCATION_COLUMN, spec.observed_date_column, spec.observed_value_column)
        missing = [column for column in wanted if column not in table]
        if missing:
            hint = f"it has {', '.join(map(str, table.columns))}"
            raise BadInput(part.problem(f"{name!r} has no column {', '.join(map(repr, missing))}", _PATH, hint))
        return cls(part, calibration, table)

    def of(self, codes: Sequence[str]) -> dict[str, Observations]:
        """Location code -> observations from the start of the fitting window on. Raises BadInput with all problems."""
        found, problems = {}, []
        for code in codes:
            rows = self._rows(code)
            faults = list(self._faults(code, rows))
            problems.extend(faults)
            if not faults:
                found[code] = self._observations(rows)
        if problems:
            raise BadInput(*first_problems(problems))
        return found

    def _rows(self, code: str) -> pd.DataFrame:
        """The rows of a location in file order: date, value, fitted. Unreadable dates are NaT, values nan."""
        spec, window = self.calibration.comparison[0], self.calibration.fitting_window
        mine = self.table[self.table[LOCATION_COLUMN] == code]
        dates = pd.to_datetime(mine[spec.observed_date_column], errors="coerce")
        rows = pd.DataFrame({"date": dates, "value": pd.to_numeric(mine[spec.observed_value_column], errors="coerce")})
        rows["fitted"] = (rows["date"] >= str(window.start_date)) & (rows["date"] <= str(window.end_date))
        return rows[rows["date"].isna() | (rows["date"] >= str(window.start_date))]

    def _faults(self, code: str, rows: pd.DataFrame) -> Iterator[Problem]:
        window = self.calibration.fitting_window
        fitted = rows[rows["fitted"]]
        file = self.calibration.observed_data_path
        if rows["date"].isna().any():
            yield self._problem(f"a date of {code} in {file!r} cannot be read")
        elif fitted.empty:
            known = ", ".join(sorted(map(str, self.table[LOCATION_COLUMN].dropna().unique()))[:_MAX_LISTED])
            message = f"{file!r} has no row of {code} from {window.start_date} to {window.end_date}"
            yield self._problem(message, f"its column {LOCATION_COLUMN} holds {known} and so on")
        elif not fitted["date"].is_monotonic_increasing or fitted["date"].duplicated().any():
            hint = "sort the rows, and keep one version of the data"
            yield self._problem(f"the dates of {code} in {file!r} are not in ascending order", hint)
        elif bad := _dates(fitted[~(fitted["value"] >= 0) | np.isinf(fitted["value"])]):
            yield self._problem(f"the values of {code} in {file!r} must be 0 or more, but are not on {bad}")
        elif gaps := _gaps(fitted["date"]):
            hint = "fill the gap, or start the fitting window after it"
            yield self._problem(f"{file!r} has no row of {code} on {gaps}", hint)

    def _problem(self, message: str, hint: str = "") -> Problem:
        return self.part.problem(message, _PATH, hint)

    def _observations(self, rows: pd.DataFrame) -> Observations:
        kept = (
            rows[rows["value"] >= 0].sort_values("date").drop_duplicates("date", keep="last")
        )  # held-back rows may be unordered
        dates = kept["date"].to_numpy().astype("datetime64[D]")
        # Only fitted dates are known to be free of gaps and duplicates.
        steps = np.diff(dates[kept["fitted"].to_numpy()]).astype(int)
        step = int(np.min(steps)) if len(steps) else DAYS_OF["week"]
        return Observations(
            self.calibration.comparison[0].observed_value_column,
            next((period for period, days in DAYS_OF.items() if days == step), "week"),
            dates,
            kept["value"].to_numpy(dtype=float),
            kept["fitted"].to_numpy(dtype=bool),
        )


def _dates(rows: pd.DataFrame) -> str:
    days = [f"{date:%Y-%m-%d}" for date in rows["date"]]
    more = f" and {len(days) - _MAX_LISTED} more" if len(days) > _MAX_LISTED else ""
    return ", ".join(days[:_MAX_LISTED]) + more


def _gaps(dates: pd.Series) -> str:
    """The missing dates between the first and the last, at the smallest interval between two dates; empty if none."""
    steps = dates.diff().dropna().dt.days
    if steps.empty:
        return ""
    expected = pd.date_range(dates.iloc[0], dates.iloc[-1], freq=f"{int(steps.min())}D")
    return _dates(pd.DataFrame({"date": expected.difference(pd.DatetimeIndex(dates))}))
