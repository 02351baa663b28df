"""What changed between two documents, place by place; and the newer one made from the older one and the changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from epydrop.errors import KeyPath


@dataclass(frozen=True)
class Change:
    """A place of a document and its new value, of JSON types.

    ``path`` are the keys and list positions that lead there. A position one past the end of a list adds to it; an empty
    path is the whole document.
    """

    path: KeyPath
    value: Any


def changes_between(old: Any, new: Any, path: KeyPath = ()) -> Iterator[Change]:
    """The smallest places that differ. A value that lost a key or an item is one change, as a whole."""
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() <= new.keys():
        for key, value in new.items():
            yield from changes_between(old[key], value, (*path, key)) if key in old else [Change((*path, key), value)]
    elif isinstance(old, list) and isinstance(new, list) and len(old) <= len(new):
        for position, (before, after) in enumerate(zip(old, new, strict=False)):
            yield from changes_between(before, after, (*path, position))
        yield from (Change((*path, position), new[position]) for position in range(len(old), len(new)))
    else:
        yield Change(path, new)


def with_changes(document: Any, changes: Iterable[Change]) -> Any:
    """The document with the changes. Raises LookupError or TypeError for a place that it does not have."""
    for change in changes:
        document = _with_value(document, change.path, change.value)
    return document


def _with_value(document: Any, path: KeyPath, value: Any) -> Any:
    if not path:
        return value
    key, *rest = path
    if isinstance(document, Mapping):
        inner = document[key] if rest else None
        return {**document, key: _with_value(inner, tuple(rest), value)}
    if isinstance(document, Sequence) and isinstance(key, int) and 0 <= key <= len(document):
        inner = document[key] if rest else None
        return [*document[:key], _with_value(inner, tuple(rest), value), *document[key + 1 :]]
    raise LookupError(f"there is no place {key!r}")
