"""Finds keys that the package does not read: its schemas ignore unknown keys silently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from epydrop.errors import KeyPath, Problem
from epydrop.experiment.text.problems import did_you_mean
from epydrop_stages.suites.epymodelingsuite.configuration import Part

Unknown = tuple[KeyPath, list[str]]  # path of the key, and the keys that are known there

_ALIKE = 0.8  # similarity of a typo; files in use have keys of their own that are less similar to the package's


def unknown_keys(document: Any, read: Any, at: KeyPath = ()) -> Iterator[Unknown]:
    """The keys of a document that do not exist in the package's classes. ``read``: the document in these classes."""
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
    """A problem for each unknown key that looks like a typo of a known one: its setting would silently be ignored."""
    for path, known in unknown_keys(part.document, read):
        if hint := did_you_mean(str(path[-1]), known, alike=_ALIKE):
            yield part.problem("the package has no such key", path, hint)


def unread(part: Part, read: Any) -> Iterator[str]:
    """A warning for each other unknown key."""
    for path, known in unknown_keys(part.document, read):
        if not did_you_mean(str(path[-1]), known, alike=_ALIKE):
            yield f"{'.'.join(map(str, path))} of the {part.part} is not read: the package has no such key"
