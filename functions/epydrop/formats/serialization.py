"""Frozen dataclasses to plain JSON documents and back; pydantic does the checking.

Each stored kind names its format version; a document from a newer version is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from epydrop.errors import EpydropError

T = TypeVar("T")


class UnknownFormat(EpydropError):
    """A document that this version cannot read: it is newer, or not of the expected kind."""


_adapters: dict[Any, Any] = {}


def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter  # noqa: PLC0415 - pydantic costs a tenth of a second to import

    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def prepare(*kinds: type) -> None:
    """Build the schemas of these kinds now, so that a process that forks does it once for all its tasks."""
    for kind in kinds:
        _adapter(kind)


def to_document(value: Any) -> dict[str, Any]:
    """The value as a dict of JSON types."""
    document: dict[str, Any] = _adapter(type(value)).dump_python(value, mode="json")
    return document


def to_json(value: Any) -> bytes:
    """The value as indented JSON, the same bytes for equal values."""
    return json.dumps(to_document(value), indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def from_document(kind: type[T], document: Mapping[str, Any], source: str) -> T:
    """The value that ``to_document`` wrote; ``source`` names the document in errors.

    Raises UnknownFormat when it has another format version, or lacks or adds fields.
    """
    return _read(kind, document, source)


def from_json(kind: type[T], text: bytes, source: str) -> T:
    """The value that ``to_json`` wrote. Raises UnknownFormat, like ``from_document``."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnknownFormat(f"{source} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise UnknownFormat(f"{source} is no JSON object")
    return from_document(kind, document, source)


def from_part(kind: type[T], part: Any, source: str) -> T:
    """A value that is part of a stored document, whose format covers it. Raises UnknownFormat if it does not fit."""
    from pydantic import ValidationError  # noqa: PLC0415 - see _adapter

    try:
        value: T = _adapter(kind).validate_python(part)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(key) for key in first["loc"])
        raise UnknownFormat(f"{source} is not a {kind.__name__}: {place}: {first['msg']}") from error
    return value


def _read(kind: type[T], document: Mapping[str, Any], source: str) -> T:
    expected = getattr(kind, "FORMAT", 1)
    found = document.get("format")
    if found != expected:
        raise UnknownFormat(
            f"{source} has format {found!r}, this version of epydrop reads format {expected}; "
            "use the version that wrote it, or a newer one"
        )
    return from_part(kind, document, source)
