"""The CSV file of an experiment's ``data``: its columns, and its rows by location, with every cell still text.

Dates and counts are parsed in ``series``.
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

EVERYWHERE = ""  # the location of all rows in a file without a location column

_MAX_LISTED = 8  # names in one message; more would hide the rest of it


@dataclass(frozen=True)
class Row:
    """One row of text. ``number`` is the line in a spreadsheet: the header is row 1."""

    number: int
    date: str
    value: str


def read_rows(data: Data, workspace: Path) -> dict[str, list[Row]]:
    """The rows of each location, in the order of the file. Raises BadInput if the file is missing or malformed."""
    root = workspace.resolve()
    path = (root / data.file).resolve()  # resolved, because a repository may contain links
    if not path.is_relative_to(root):
        raise _bad(f"{data.file!r} is outside the experiment's folder")
    if not path.is_file():
        raise _bad(f"there is no file {data.file!r}", "drop a .zip bundle that holds it, or let epydrop pack it")
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:  # Excel writes a byte order mark
            # strict: by default csv repairs unbalanced quotes silently, and rows get lost
            return _by_location(csv.reader(text, strict=True), data)
    except UnicodeDecodeError:
        raise _bad(f"{data.file!r} is not a CSV file: it is not UTF-8 text", "save the spreadsheet as CSV") from None
    except csv.Error as error:
        raise _bad(f"{data.file!r} is not a CSV file: {error}") from None


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
            yield _problem(f"the column {name!r} occurs more than once in {data.file!r}", key=key)
        else:
            yield _problem(f"{data.file!r} has no column {name!r}", _column_hint(name, header), key)


def _column_hint(name: str, header: Sequence[str]) -> str:
    for mark, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and mark in header[0]:
            return f"its columns are separated by {word}; save it with commas"
    near = get_close_matches(name, header, n=1)
    return f"did you mean {near[0]!r}?" if near else f"it has {listed(header)}"


# -- locations ---------------------------------------------------------------------------------


def names_in_file(data: Data, populations: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Population -> its name in the file. Raises BadInput that lists all populations without a row.

    ``data.names`` takes precedence; otherwise the population's own name or, for a US state, any of its names and codes.
    """
    if data.location_column is None:
        return dict.fromkeys(populations, EVERYWHERE)
    found = {population: _candidates(population, data.names, known) for population in populations}
    problems = list(_absent([name for name, names in found.items() if not names], data, known))
    for population, names in found.items():
        if len(names) > 1:
            called = " and ".join(map(repr, names))
            problems.append(_problem(f"{population} may be {called} in {data.file}", "choose one in data.names"))
    if problems:
        raise BadInput(*problems)
    return {population: names[0] for population, names in found.items()}


def _candidates(population: str, names: Mapping[str, str], known: Sequence[str]) -> list[str]:
    """The names of a population for which the file has rows."""
    if population in names:
        return [names[population]] if names[population] in known else []
    if population in known:
        return [population]
    state = us_location(population)
    return [name for name in state.names() if name in known] if state else []


def _absent(populations: Sequence[str], data: Data, known: Sequence[str]) -> Iterator[Problem]:
    if populations:
        message = f"there is no row of {listed(populations)} in {data.file}, whose locations are {listed(known)}"
        yield _problem(message, "map them to the names in the file with data.names", key="location_column")


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - _MAX_LISTED
    return ", ".join(names[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def _problem(message: str, hint: str = "", key: str = "file") -> Problem:
    return Problem(f"data: {key}: {message}", hint=hint, path=("data", key))


def _bad(message: str, hint: str = "") -> BadInput:
    return BadInput(_problem(message, hint))
