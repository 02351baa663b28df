"""Keys that nothing reads: the package's schemas pass them over in silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from epydrop.errors import Problem
from epydrop.experiment.text.problems import did_you_mean
from epydrop_stages.suites.epymodelingsuite.configuration import Part

Steps = tuple[str | int, ...]
Unknown = tuple[Steps, list[str]]  # where the key stands, and what stands for a key there

_ALIKE = 0.8  # a slip of the pen; files in use have keys of their own that are less like the package's


def unknown_keys(document: Any, read: Any, at: Steps = ()) -> Iterator[Unknown]:
    """The keys of a document that its reading in the package's own classes has no place for."""
    if isinstance(read, BaseModel) and isinstance(document, Mapping):
        fields = {field.alias or name: name for name, field in type(read).model_fields.items()}
        fields |= {name: name for name in type(read).model_fields}
        for key, value in document.items():
            if key in fields:
                yield from unknown_keys(value, getattr(read, fields[key]), (*at, key))
            elif type(read).model_config.get("extra") != "allow":
                yield (*at, key), sorted(fields)
    elif isinstance(read, Mapping) and isinstance(document, Mapping):
        for key, value in document.items():
            if key in read:
                yield from unknown_keys(value, read[key], (*at, key))
    elif isinstance(read, list) and isinstance(document, list) and len(read) == len(document):
        for position, value in enumerate(document):
            yield from unknown_keys(value, read[position], (*at, position))


def misspelled(part: Part, read: Any) -> Iterator[Problem]:
    """A problem for each unknown key that is nearly a known one: what it asks for would be missing without a word."""
    for path, known in unknown_keys(part.document, read):
        if hint := did_you_mean(str(path[-1]), known, alike=_ALIKE):
            yield part.problem("the package knows no such key", path, hint)


def unread(part: Part, read: Any) -> Iterator[str]:
    """A sentence for each of the others."""
    for path, known in unknown_keys(part.document, read):
        if not did_you_mean(str(path[-1]), known, alike=_ALIKE):
            yield f"{'.'.join(map(str, path))} of the {part.part} is not read: the package knows no such key"
