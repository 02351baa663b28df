"""The hub file: the rows of all locations in one CSV, checked before it is written."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, fields
from datetime import date
from pathlib import Path

from epydrop.experiment.hub_formats import HubFormat
from epydrop_stages.outputs.hub.location_forecast import LocationForecast
from epydrop_stages.outputs.hub.rows import HubRow, problems_of_rows


def hub_file_name(reference_date: date, model_id: str) -> str:
    """The path among the outputs. The name after the folder is the one that the hub requires."""
    return f"hub/{reference_date}-{model_id}.csv"


def write_hub_file(
    forecasts: Sequence[LocationForecast], locations: Iterable[str], hub: HubFormat, path: Path
) -> tuple[Path | None, list[str]]:
    """Writes the rows in the order of ``forecasts``; returns the path and what is wrong or missing.

    Rows that the hub would reject are not written, and the path is None. Missing locations and horizons are reported
    only: a partial file is of use. ``locations``: all that were planned.
    """
    rows = [row for forecast in forecasts for row in forecast.rows]
    problems = problems_of_rows(rows, hub)
    written = None if problems else _write(rows, path)
    return written, [*problems, *_missing(forecasts, locations)]


def _missing(forecasts: Sequence[LocationForecast], locations: Iterable[str]) -> Iterator[str]:
    present = {forecast.location for forecast in forecasts}
    for forecast in forecasts:
        yield from forecast.problems
    yield from (f"{location} has no forecast" for location in locations if location not in present)


def _write(rows: Iterable[HubRow], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(HubRow))
        for row in rows:
            value = int(row.value) if row.output_type == "quantile" else row.value  # 67, not 67.0
            writer.writerow((*astuple(row)[:-1], value))
    return path
