"""The CSV file of an experiment's ``data``: its columns, and its rows by location, every cell still text.

Knows nothing of dates and counts; ``series`` makes observations of the rows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from epydrop.errors import BadInput, Problem
from epydrop.experiment.sections import Data
from epydrop_stages.inputs.us_locations import us_location

FILE = "experiment.yaml"
EVERYWHERE = ""  # the location of all rows in a file without a column of locations

_MANY = 8  # names that a person reads in a row


@dataclass(frozen=True)
class Row:
    """One observation as the file has it; ``number`` counts from 1, the row of names."""

    number: int
    date: str
    value: str


def read_rows(data: Data, workspace: Path) -> dict[str, list[Row]]:
    """The rows of each location in the file, in its order. Raises BadInput if it is not there or no such CSV."""
    root = workspace.resolve()
    path = (root / data.file).resolve()
    if not path.is_relative_to(root):
        raise _bad(f"{data.file!r} lies outside the experiment's folder")
    if not path.is_file():
        raise _bad(f"there is no file {data.file!r}", "drop a .zip bundle that holds it, or let epydrop pack it")
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            return _by_location(csv.reader(text, strict=True), data)
    except UnicodeDecodeError:
        raise _bad(f"{data.file!r} is no CSV: it is not text in UTF-8", "a spreadsheet can be saved as CSV") from None
    except csv.Error as error:
        raise _bad(f"{data.file!r} is no CSV: {error}") from None


def _by_location(reader: Iterator[list[str]], data: Data) -> dict[str, list[Row]]:
    header = [name.strip() for name in next(reader, [])]
    if not any(header):
        raise _bad(f"{data.file!r} is empty")
    problems = list(_missing_columns(header, data))
    if problems:
        raise BadInput(*problems)
    date, value = header.index(data.date_column), header.index(data.value_column)
    place = None if data.location_column is None else header.index(data.location_column)
    found: dict[str, list[Row]] = {}
    for number, cells in enumerate(reader, start=2):
        if not cells:  # an empty line
            continue
        if len(cells) < len(header) or any(cell.strip() for cell in cells[len(header) :]):
            raise _bad(f"{data.file}, row {number} has {len(cells)} of {len(header)} columns")
        location = EVERYWHERE if place is None else cells[place].strip()
        found.setdefault(location, []).append(Row(number, cells[date].strip(), cells[value].strip()))
    return found


def _missing_columns(header: Sequence[str], data: Data) -> Iterator[Problem]:
    for key in ("date_column", "location_column", "value_column"):
        name = getattr(data, key)
        if name is None or header.count(name) == 1:
            continue
        if name in header:
            yield _problem(f"the column {name!r} stands in {data.file!r} more than once", key=key)
        else:
            yield _problem(f"{data.file!r} has no column {name!r}", _column_hint(name, header), key)


def _column_hint(name: str, header: Sequence[str]) -> str:
    for mark, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and mark in header[0]:
            return f"its columns are divided by {word}; save it with commas"
    near = get_close_matches(name, header, n=1)
    return f"did you mean {near[0]!r}?" if near else f"it has {listed(header)}"


# -- locations ---------------------------------------------------------------------------------


def names_in_file(data: Data, populations: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Population -> what the file calls it. Raises BadInput that names all populations without a row.

    ``data.names`` decides; else it is the population's own name or, for a US state, any name or code of it.
    """
    if data.location_column is None:
        return dict.fromkeys(populations, EVERYWHERE)
    found = {population: _candidates(population, data.names, known) for population in populations}
    problems = list(_absent([name for name, names in found.items() if not names], data, known))
    for population, names in found.items():
        if len(names) > 1:
            called = " and ".join(map(repr, names))
            problems.append(_problem(f"{population} may be {called} in {data.file}", "say which in data.names"))
    if problems:
        raise BadInput(*problems)
    return {population: names[0] for population, names in found.items()}


def _candidates(population: str, names: Mapping[str, str], known: Sequence[str]) -> list[str]:
    """The names of a population that the file has rows for."""
    if population in names:
        return [names[population]] if names[population] in known else []
    if population in known:
        return [population]
    state = us_location(population)
    return [name for name in state.names() if name in known] if state else []


def _absent(populations: Sequence[str], data: Data, known: Sequence[str]) -> Iterator[Problem]:
    if populations:
        message = f"there is no row of {listed(populations)} in {data.file}, whose locations are {listed(known)}"
        yield _problem(message, "data.names can say what the file calls them", key="location_column")


def listed(names: Sequence[str]) -> str:
    """A few names, and how many more there are."""
    more = len(names) - _MANY
    return ", ".join(names[:_MANY]) + (f" and {more} more" if more > 0 else "")


def _problem(message: str, hint: str = "", key: str = "file") -> Problem:
    return Problem(f"data: {key}: {message}", FILE, hint=hint)


def _bad(message: str, hint: str = "") -> BadInput:
    return BadInput(_problem(message, hint))
