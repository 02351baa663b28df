"""What the package needs for a FluSight file, and would otherwise leave out of it, or leave it out, without a word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from epydrop.errors import Problem
from epydrop_stages.suites.epymodelingsuite import package
from epydrop_stages.suites.epymodelingsuite.checks import Configs
from epydrop_stages.suites.epymodelingsuite.configuration import Configuration, Part

_FORMAT = ("output", "flusight_format")
_TRENDS = (*_FORMAT, "rate_trends")
_DATE = (*_FORMAT, "reference_date")
_COLUMN = "hospitalizations"  # the first version's own name for what it forecasts
_WEEKS = 3  # the last of FluSight's horizons
_SATURDAY = 5
_PROJECTED = ("quantiles", "trajectories")


def problems_of_outputs(
    configuration: Configuration, configs: Configs, codes: Sequence[str], folder: Path
) -> Iterator[Problem]:
    """What the output configuration asks for and the results will not hold."""
    part, wanted = configuration.output, configs.output.output
    calibration = configs.calibration.modelset.calibration if configs.calibration else None
    if calibration and not calibration.projection:
        for name in _PROJECTED:
            if getattr(wanted, name):
                hint = "add modelset.calibration.projection with n_trajectories"
                yield part.problem("are of projections, and the modelset asks for none", ("output", name), hint)
    if wanted.flusight_format is None:
        return
    if calibration is None or not calibration.projection:
        yield part.problem("is made of projections from a calibration, and there will be none", _FORMAT)
        return
    yield from _of_dates(part, wanted.flusight_format.reference_date, configs.basemodel.model.timespan.end_date)
    column = calibration.comparison[0].observed_value_column
    if package.is_first() and column != _COLUMN:
        hint = f"rename the column, and observed_value_column with it, to {_COLUMN}"
        yield part.problem(
            f"needs data in a column called '{_COLUMN}', and the modelset says {column!r}", _FORMAT, hint
        )
    if wanted.flusight_format.rate_trends:
        yield from _of_trends(part, wanted.flusight_format, codes, folder)


def _of_dates(part: Part, reference: Any, end: Any) -> Iterator[Problem]:
    last = reference + timedelta(weeks=_WEEKS)
    if reference.weekday() != _SATURDAY:
        yield part.problem(f"is a {reference:%A}, and the hub's weeks end on Saturdays", _DATE)
    elif end < last:
        hint = f"model.timespan.end_date: {last}"
        yield part.problem(f"leads to a last week that ends on {last}, and the model ends on {end}", _DATE, hint)


def _of_trends(part: Part, flusight: Any, codes: Sequence[str], folder: Path) -> Iterator[Problem]:
    """Trends are relative to the week before the reference date, which every location must have."""
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
        message = f"are relative to {week}, of which {trends.observed_data_path!r} has no row of {listed}"
        yield part.problem(message, _TRENDS, "bring the data up to date, or leave rate_trends out")
