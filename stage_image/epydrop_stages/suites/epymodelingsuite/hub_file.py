"""Checks the package's hub file by the hub's rules."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping
from datetime import date

from epydrop.experiment.hub_formats import HUB_FORMATS
from epydrop_stages.outputs.hub.rows import HubRow, problems_of_rows

HUB_FILE = "output_hub_formatted.csv.gz"


def hub_problems(files: Mapping[str, bytes]) -> list[str]:
    """What the hub would reject in the file of one location; [] if it is valid or there is none."""
    if HUB_FILE not in files:
        return []
    try:
        rows = _rows(gzip.decompress(files[HUB_FILE]).decode())
        return problems_of_rows(rows, HUB_FORMATS["flusight"])
    except (KeyError, ValueError) as error:
        return [f"{HUB_FILE} is not a valid hub file: {type(error).__name__}: {error}"]


def _rows(text: str) -> Iterator[HubRow]:
    for row in csv.DictReader(text.splitlines()):
        yield HubRow(
            reference_date=date.fromisoformat(row["reference_date"]),
            target=row["target"],
            horizon=int(row["horizon"]),
            target_end_date=date.fromisoformat(row["target_end_date"]),
            location=row["location"],
            output_type=row["output_type"],
            output_type_id=row["output_type_id"],
            value=float(row["value"]),
        )
