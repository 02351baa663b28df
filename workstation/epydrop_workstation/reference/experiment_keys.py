"""The reference of all keys as a Markdown table, printed from the schema for ``docs/experiment-reference.md``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from epydrop.experiment.schema import Experiment
from epydrop.experiment.text.problems import section_of

_WORDS = {"int": "whole number", "float": "number", "bool": "true or false", "str": "text", "date": "date"}


def key_table() -> str:
    """One row for each key: its path, its values with their limits, its default and its meaning."""
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*rows, *_rows(Experiment, "")])


def _rows(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        inner = section_of(field.annotation)
        cells = (f"`{prefix}{name}`", "section" if inner else _values(field), _default(field), field.description or "")
        yield f"| {' | '.join(cells)} |"
        if inner:
            yield from _rows(inner, f"{prefix}{name}.")


def _values(field: FieldInfo) -> str:
    words = dict.fromkeys(_words(field.annotation))
    return " ".join([" or ".join(words), *_limits([*field.metadata, *get_args(field.annotation)])]).strip()


def _words(annotation: Any) -> Iterator[str]:
    origin = get_origin(annotation)
    if origin is dict:
        yield "keys and values"
    elif origin is tuple:
        yield "list"
    elif origin is None:
        yield from [_WORDS[annotation.__name__]] if annotation.__name__ in _WORDS else []
    elif hasattr(annotation, "__metadata__"):
        yield from _words(annotation.__origin__)
    else:
        for option in get_args(annotation):
            yield from _words(option)


def _limits(metadata: list[Any]) -> Iterator[str]:
    """The numeric limits among pydantic's metadata, also inside an optional type."""
    inner = [one for option in metadata for one in getattr(option, "__metadata__", ())]
    found = [one for item in [*metadata, *inner] for one in getattr(item, "metadata", [item])]
    for words, name in (("from", "ge"), ("above", "gt"), ("to", "le"), ("below", "lt")):
        yield from (f"{words} {getattr(one, name)}" for one in found if getattr(one, name, None) is not None)


def _default(field: FieldInfo) -> str:
    if isinstance(field.json_schema_extra, dict):
        return str(field.json_schema_extra["default"])
    if field.is_required():
        return "required"
    if field.default is PydanticUndefined or field.default in (None, ()) or isinstance(field.default, BaseModel):
        return ""
    return f"`{json.dumps(field.default)}`"
