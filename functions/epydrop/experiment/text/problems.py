"""What is wrong with an experiment, in the words of the people who write them.

``refuse`` is how the schema's own checks say several things at once; ``problems_of`` turns all that pydantic found
into problems with a line and a column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from epydrop.errors import Problem
from epydrop.experiment.text.source import Path, Source, describe
from epydrop.experiment.text.yaml_scalars import short

# Keys of the design that nothing acts on yet.
_LATER: frozenset[Path] = frozenset(
    {
        ("max_cost_usd",),
        ("deadline",),
        ("run", "max_cost_usd"),
        ("run", "deadline"),
    }
)

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "dict": "keys and values",
    "model": "keys and values",
    "date": "a date such as 2026-11-28",
}

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
    at: Path = ()


def refuse(findings: Iterable[Finding]) -> None:
    """Raises all findings at once, for pydantic to collect; does nothing when there are none."""
    found = list(findings)
    if found:
        _raise(found)


def _raise(found: list[Finding]) -> NoReturn:
    raise PydanticCustomError("findings", "refused", {"findings": found})


def did_you_mean(word: str, known: Collection[str], *, alike: float = 0.6) -> str:
    """A hint at the known word that is nearest, or nothing; ``alike`` from 0 to 1 is how near it must be."""
    from difflib import get_close_matches  # noqa: PLC0415 - needed only for a mistake

    near = get_close_matches(word, known, n=1, cutoff=alike)
    return f"did you mean '{near[0]}'?" if near else ""


def problems_of(error: ValidationError, source: Source, schema: type[BaseModel]) -> Iterator[Problem]:
    """Each thing that is wrong, at its place in the file."""
    for details in error.errors(include_url=False):
        kind, path = details["type"], details["loc"]
        if kind == "findings":
            for finding in details["ctx"]["findings"]:
                whole = (*path, *finding.at)
                yield source.place(whole).problem(f"{_dotted(whole)}{finding.message}", finding.hint)
        elif kind == "extra_forbidden":
            yield _unknown_key(path, source, schema)
        elif kind == "missing":
            yield source.key_place(path[:-1]).problem(f"{_section(path)}'{path[-1]}' is missing")
        elif kind != "default_factory_not_called":  # follows from a problem that is told already
            yield source.place(path).problem(f"{_dotted(path)}{_expected(details)}", _hint(details))


def _expected(details: ErrorDetails) -> str:
    got = describe(details["input"])
    kind = details["type"]
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        limit = details["ctx"][name]
        return f"expected {words} {limit if isinstance(limit, int) else format(limit, 'g')}, got {got}"
    known = _KINDS.get(kind.partition("_")[0])
    return f"expected {known}, got {got}" if known else f"{details['msg']}, got {got}"


def _hint(details: ErrorDetails) -> str:
    is_number = isinstance(details["input"], int | float)
    return "put it in quotes" if details["type"].startswith("string") and is_number else ""


def _unknown_key(path: Path, source: Source, schema: type[BaseModel]) -> Problem:
    place, key = source.key_place(path), short(str(path[-1]))
    if path in _LATER:
        return place.problem(f"'{'.'.join(map(str, path))}' is not supported by this version")
    parent = f"'{'.'.join(map(str, path[:-1]))}'" if path[:-1] else "an experiment"
    return place.problem(f"'{key}' is not a key of {parent}", did_you_mean(key, _keys(path[:-1], schema)))


def _keys(path: Path, schema: type[BaseModel]) -> list[str]:
    """The keys that the schema knows at this path."""
    for step in path:
        schema = _model_of(schema.model_fields[str(step)].annotation)
    return list(schema.model_fields)


def _model_of(annotation: object) -> type[BaseModel]:
    options = getattr(annotation, "__args__", None) or (annotation,)
    model: type[BaseModel] = next(one for one in options if isinstance(one, type) and issubclass(one, BaseModel))
    return model


def _dotted(path: Path) -> str:
    name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    return f"{short(name)}: " if name else ""


def _section(path: Path) -> str:
    return _dotted(path[:-1])
