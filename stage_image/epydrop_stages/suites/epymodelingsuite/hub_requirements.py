"""Checks that the configuration fulfils what the package needs for the requested outputs, FluSight files above all.

The package silently leaves out what it cannot make.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from epydrop.errors import Problem
from epydrop_stages.suites.epymodelingsuite import package
from epydrop_stages.suites.epymodelingsuite.config_validation import Configs
from epydrop_stages.suites.epymodelingsuite.configuration import Configuration, Part

_FORMAT = ("output", "flusight_format")
_TRENDS = (*_FORMAT, "rate_trends")
_DATE = (*_FORMAT, "reference_date")
_COLUMN = "hospitalizations"  # version 0.1.0 reads its forecasts from this column only
_WEEKS = 3  # FluSight's last horizon
_SATURDAY = 5  # date.weekday()
_PROJECTED = ("quantiles", "trajectories")


def problems_of_outputs(
    configuration: Configuration, configs: Configs, codes: Sequence[str], folder: Path
) -> Iterator[Problem]:
    """Requested outputs that the results will not contain."""
    part, wanted = configuration.output, configs.output.output
    calibration = configs.calibration.modelset.calibration if configs.calibration else None
    if calibration and not calibration.projection:
        for name in _PROJECTED:
            if getattr(wanted, name):
                hint = "add modelset.calibration.projection with n_trajectories"
                yield part.problem("need projections, but the modelset has none", ("output", name), hint)
    if wanted.flusight_format is None:
        return
    if calibration is None or not calibration.projection:
        yield part.problem("is made from projections of a calibration, but there will be none", _FORMAT)
        return
    yield from _of_dates(part, wanted.flusight_format.reference_date, configs.basemodel.model.timespan.end_date)
    column = calibration.comparison[0].observed_value_column
    if package.is_first() and column != _COLUMN:
        hint = f"rename the column, and observed_value_column with it, to {_COLUMN}"
        yield part.problem(
            f"needs data in a column called '{_COLUMN}', but the modelset says {column!r}", _FORMAT, hint
        )
    if wanted.flusight_format.rate_trends:
        yield from _of_trends(part, wanted.flusight_format, codes, folder)


def _of_dates(part: Part, reference: Any, end: Any) -> Iterator[Problem]:
    last = reference + timedelta(weeks=_WEEKS)
    if reference.weekday() != _SATURDAY:
        yield part.problem(f"is a {reference:%A}, but the hub's weeks end on Saturdays", _DATE)
    elif end < last:
        hint = f"model.timespan.end_date: {last}"
        yield part.problem(f"leads to a last week that ends on {last}, but the model ends on {end}", _DATE, hint)


def _of_trends(part: Part, flusight: Any, codes: Sequence[str], folder: Path) -> Iterator[Problem]:
    """Trends are relative to the week before the reference date, for which every location needs data."""
    trends = flusight.rate_trends
    table = pd.read_csv(folder / trends.observed_data_path)
    columns = (trends.observed_location_column, trends.observed_date_column, trends.observed_value_column)
    missing = [column for column in columns if column not in table]
    if missing:
        hint = f"it has {', '.join(map(str, table.columns))}"
        yield part.problem(f"{trends.observed_data_path!r} has no column {', '.join(missing)}", _TRENDS, hint)
        return
    week = flusight.reference_date - timedelta(weeks=1)
    there = table[pd.to_datetime(table[columns[1]], errors="coerce") == str(week)][columns[0]]
    lacking = [code for code in codes if code not in set(there)]
    if lacking:
        listed = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
        message = f"are relative to {week}, for which {trends.observed_data_path!r} has no row of {listed}"
        yield part.problem(message, _TRENDS, "update the data, or leave out rate_trends")
