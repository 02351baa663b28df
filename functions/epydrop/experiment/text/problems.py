"""What is wrong with an experiment, in words for the people who write experiments.

The schema's checks report several findings at once with ``refuse``; ``problems_of`` turns everything that pydantic
collected into problems with a path, a line and a column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from epydrop.errors import KeyPath, Problem
from epydrop.experiment.text.source import Source, located
from epydrop.experiment.text.wording import describe, short

# The part of pydantic's error types before the first '_' -> what was expected.
_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "dict": "keys and values",
    "model": "keys and values",
    "date": "a date such as 2026-11-28",
}

# Pydantic's error type -> the name of the limit in its context, and the words for it.
_LIMITS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that a check of the schema refuses. ``at`` leads from the checked value to the part that is wrong."""

    message: str
    hint: str = ""
    at: KeyPath = ()


def refuse(findings: Iterable[Finding]) -> None:
    """Raises all findings as one error for pydantic to collect; does nothing if there are none."""
    found = list(findings)
    if found:
        _raise(found)


def _raise(found: list[Finding]) -> NoReturn:
    raise PydanticCustomError("findings", "refused", {"findings": found})


def did_you_mean(word: str, known: Collection[str], *, alike: float = 0.6) -> str:
    """A hint at the most similar known word, or '' if no similarity reaches ``alike`` (0 to 1)."""
    from difflib import get_close_matches  # noqa: PLC0415 - lazy: needed only for a mistake

    near = get_close_matches(word, known, n=1, cutoff=alike)
    return f"did you mean '{near[0]}'?" if near else ""


def problems_of(
    error: ValidationError, source: Source, schema: type[BaseModel], planned: Collection[KeyPath]
) -> Iterator[Problem]:
    """Every mistake at its position in the file. ``planned``: keys of later versions, for a better message."""
    for details in error.errors(include_url=False):
        kind, path = details["type"], details["loc"]
        if kind == "findings":
            for finding in details["ctx"]["findings"]:
                whole = (*path, *finding.at)
                yield _problem(source, whole, f"{dotted(whole)}: {finding.message}", finding.hint)
        elif kind == "extra_forbidden":
            yield located(_unknown_key(path, schema, planned), source, at_key=True)
        elif kind == "missing":
            section = f"{dotted(path[:-1])}: " if path[:-1] else ""
            yield _problem(source, path, f"{section}'{path[-1]}' is missing")
        # A default that depends on another field is not computed if that field is wrong, which is reported anyway.
        elif kind != "default_factory_not_called":
            yield _problem(source, path, f"{dotted(path)}: {_expected(details)}", _hint(details))


def dotted(path: KeyPath) -> str:
    """A path as people write it: ``tasks.populations[2]``."""
    return short("".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip("."))


def _problem(source: Source, path: KeyPath, message: str, hint: str = "") -> Problem:
    return located(Problem(message, hint=hint, path=path), source)


def _expected(details: ErrorDetails) -> str:
    got = describe(details["input"])
    kind = details["type"]
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        limit = details["ctx"][name]
        return f"expected {words} {limit if isinstance(limit, int) else format(limit, 'g')}, got {got}"
    expected = _EXPECTED.get(kind.partition("_")[0])
    return f"expected {expected}, got {got}" if expected else f"{details['msg']}, got {got}"


def _hint(details: ErrorDetails) -> str:
    is_number = isinstance(details["input"], int | float)
    return "put it in quotes" if details["type"].startswith("string") and is_number else ""


def _unknown_key(path: KeyPath, schema: type[BaseModel], planned: Collection[KeyPath]) -> Problem:
    key = short(str(path[-1]))
    if path in planned:
        return Problem(f"'{dotted(path)}' is not supported by this version", path=path)
    parent = f"'{dotted(path[:-1])}'" if path[:-1] else "an experiment"
    hint = did_you_mean(key, _keys(path[:-1], schema))
    return Problem(f"'{key}' is not a key of {parent}", hint=hint, path=path)


def _keys(path: KeyPath, schema: type[BaseModel]) -> list[str]:
    """The keys of the section at this path."""
    for step in path:
        schema = section_of(schema.model_fields[str(step)].annotation) or schema
    return list(schema.model_fields)


def section_of(annotation: object) -> type[BaseModel] | None:
    """The model in a field's type, such as ``Hub`` in ``Hub | None``; None for a field that is no section."""
    options = getattr(annotation, "__args__", None) or (annotation,)
    return next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)
