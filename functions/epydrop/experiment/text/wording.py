"""How values are shown in messages to people."""

from __future__ import annotations

import re

MAX_SHOWN = 80  # characters; a message that quotes a whole file helps nobody

# What stands before the host of an address, and GitHub's tokens by their documented prefixes.
_CREDENTIAL = re.compile(r"(?<=://)[^/\s@]+(?=@)|(?<![A-Za-z0-9])(?:gh[pousr]|github_pat)_\w{16,}")


def holds_credential(text: str) -> bool:
    """Whether the text has a user name or password in an address, or a GitHub token."""
    return _CREDENTIAL.search(text) is not None


def short(text: str) -> str:
    """The text, cut to MAX_SHOWN characters and without credentials: replies and histories have many readers."""
    text = _CREDENTIAL.sub("***", text)
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
