"""How values are shown in messages to people."""

from __future__ import annotations

MAX_SHOWN = 80  # characters; a message that quotes a whole file helps nobody


def short(text: str) -> str:
    """The text, cut to MAX_SHOWN characters."""
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def describe(value: object) -> str:
    """A value in the terms of a YAML file, for 'expected ..., got ...'."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, list | tuple):
        return "a list"
    return short(repr(value))
