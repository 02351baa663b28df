"""What Batch rejects about runnables, environments and labels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from batch_emulator.protocol.errors import Violation

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"projects/[^/]+/secrets/[^/]+/versions/[^/]+")
_LONGEST_LABEL = 63
_RESERVED = ("goog-", "google-")


def runnable_problems(runnable: Any, at: str) -> Iterator[Violation]:
    """The violations of one runnable."""
    match runnable.WhichOneof("executable"):
        case None:
            yield Violation(at, "one of container, script and barrier is required")
        case "container" if not runnable.container.image_uri:
            yield Violation(f"{at}.container.image_uri", "is required")
        case "script" if not runnable.script.WhichOneof("command"):
            yield Violation(f"{at}.script", "one of text and path is required")
    if runnable.timeout.ToNanoseconds() < 0:
        yield Violation(f"{at}.timeout", f"got {runnable.timeout.ToJsonString()}, expected at least 0s")
    yield from environment_problems(runnable.environment, f"{at}.environment")
    yield from label_problems(runnable.labels, f"{at}.labels")


def environment_problems(environment: Any, at: str) -> Iterator[Violation]:
    """Invalid names of variables, and secrets that are not resource names of Secret Manager."""
    for kind in ("variables", "secret_variables"):
        for name in sorted(getattr(environment, kind)):
            if not _VARIABLE.fullmatch(name):
                yield Violation(f"{at}.{kind}", f"{name!r} is not the name of an environment variable")
    for name, secret in sorted(environment.secret_variables.items()):
        if not _SECRET.fullmatch(secret):
            field = f"{at}.secret_variables[{name!r}]"
            yield Violation(field, f"got {secret!r}, expected projects/*/secrets/*/versions/*")


def label_problems(labels: Mapping[str, str], at: str) -> Iterator[Violation]:
    """Compute Engine's rules: at most 63 lower-case letters, digits, '_', '-'; keys start with a letter."""
    for key, value in sorted(labels.items()):
        if not (_is_label(key) and key and key[0].isalpha()):
            yield Violation(at, f"the key {key!r} must be 1 to 63 of a-z, 0-9, '_' and '-', starting with a letter")
        elif key.startswith(_RESERVED):
            yield Violation(at, f"the key {key!r} has a prefix that is reserved for Google's own labels")
        if not _is_label(value):
            yield Violation(f"{at}[{key!r}]", f"got {value!r}, expected at most 63 of a-z, 0-9, '_' and '-'")


def _is_label(text: str) -> bool:
    return len(text) <= _LONGEST_LABEL and all(
        character in "_-" or character.isdigit() or (character.isalpha() and character.lower() == character)
        for character in text
    )
