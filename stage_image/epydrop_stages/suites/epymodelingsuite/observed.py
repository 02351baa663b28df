"""What was observed, read as the package reads it, and what of it the package would stumble over or not notice.

With no row for a location, or with a value that is no number, its calibration never accepts a particle and never ends;
rows out of order are compared with the wrong weeks.
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
from epydrop_stages.suites.epymodelingsuite.configuration import Part

LOCATION_COLUMN = "geo_value"  # fixed by the package, as of 0.1.0

_PATH = ("modelset", "calibration", "observed_data_path")
_MOST = 3  # dates or places named in one problem


@dataclass(frozen=True)
class DataFile:
    """The table with the observations of all locations; ``calibration`` is the modelset's section."""

    part: Part
    calibration: Any
    table: pd.DataFrame

    @classmethod
    def open(cls, part: Part, calibration: Any, folder: Path) -> DataFile:
        """Reads it. Raises BadInput for a file that is no table, or lacks a column that is asked for."""
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
        """Code of the location -> what was observed from the fitting window on. Raises BadInput with every problem."""
        found, problems = {}, []
        for code in codes:
            rows = self._rows(code)
            faults = list(self._faults(code, rows))
            problems.extend(faults)
            if not faults:
                found[code] = self._observations(rows)
        if problems:
            raise BadInput(*_like_first(problems))
        return found

    def _rows(self, code: str) -> pd.DataFrame:
        """The rows of a location, in the order of the file: dates, values, and whether they are fitted."""
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
            known = ", ".join(sorted(map(str, self.table[LOCATION_COLUMN].dropna().unique()))[:_MOST])
            message = f"{file!r} has no row of {code} from {window.start_date} to {window.end_date}"
            yield self._problem(message, f"its column {LOCATION_COLUMN} holds {known} and so on")
        elif not fitted["date"].is_monotonic_increasing or fitted["date"].duplicated().any():
            hint = "sort them, and keep one version of the data"
            yield self._problem(f"the dates of {code} in {file!r} do not ascend, row by row", hint)
        elif bad := _dates(fitted[~(fitted["value"] >= 0) | np.isinf(fitted["value"])]):
            yield self._problem(f"the values of {code} in {file!r} must be 0 or more, and on {bad} they are not")
        elif gaps := _gaps(fitted["date"]):
            hint = "fill the gap, or begin the fitting window after it"
            yield self._problem(f"{file!r} has no row of {code} on {gaps}", hint)

    def _problem(self, message: str, hint: str = "") -> Problem:
        return self.part.problem(message, _PATH, hint)

    def _observations(self, rows: pd.DataFrame) -> Observations:
        kept = rows[rows["value"] >= 0].sort_values("date").drop_duplicates("date", keep="last")  # what is held back
        dates = kept["date"].to_numpy().astype("datetime64[D]")
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
    more = f" and {len(days) - _MOST} more" if len(days) > _MOST else ""
    return ", ".join(days[:_MOST]) + more


def _gaps(dates: pd.Series) -> str:
    """The dates that lack between the first and the last, at the shortest step between any two."""
    steps = dates.diff().dropna().dt.days
    if steps.empty:
        return ""
    expected = pd.date_range(dates.iloc[0], dates.iloc[-1], freq=f"{int(steps.min())}D")
    return _dates(pd.DataFrame({"date": expected.difference(pd.DatetimeIndex(dates))}))


def _like_first(problems: Sequence[Problem]) -> list[Problem]:
    """As many as a person wants to see."""
    more = len(problems) - 20
    return [*problems[:20], *([Problem(f"and {more} more problems with the data")] if more > 0 else [])]
