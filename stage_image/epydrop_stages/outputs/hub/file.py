"""All locations' rows in one CSV file, validated before anybody sees it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, fields
from pathlib import Path

from epydrop.experiment.sections import Hub
from epydrop_stages.outputs.hub.flusight import HubRow, validate
from epydrop_stages.outputs.hub.forecast import HubForecast


def hub_name(hub: Hub) -> str:
    """The name of the file among the outputs; what follows the folder is the name that the hub expects."""
    return f"hub/{hub.reference_date}-{hub.model_id}.csv"


def write_hub_file(
    forecasts: Sequence[HubForecast], locations: Iterable[str], path: Path
) -> tuple[Path | None, list[str]]:
    """The file and what is wrong with it: nothing invalid is written, and what is absent is told.

    ``forecasts`` in the order of the tasks decide the order of the rows; ``locations`` are all that should be there.
    """
    rows = [row for forecast in forecasts for row in forecast.rows]
    problems = validate(rows)
    written = None if problems else _write(rows, path)
    return written, [*problems, *_absent(forecasts, locations)]


def _absent(forecasts: Sequence[HubForecast], locations: Iterable[str]) -> Iterator[str]:
    there = {forecast.location for forecast in forecasts}
    for forecast in forecasts:
        yield from forecast.problems
    yield from (f"{location} has no forecast" for location in locations if location not in there)


def _write(rows: Iterable[HubRow], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(HubRow))
        for row in rows:
            value = int(row.value) if row.output_type == "quantile" else row.value
            writer.writerow((*astuple(row)[:-1], value))
    return path
