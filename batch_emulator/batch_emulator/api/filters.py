"""The filters of lists: comparisons joined by AND, OR and NOT, the common part of google.aip.dev/160.

A filter is parsed once into a predicate over the fields of an item.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from batch_emulator.protocol.errors import ApiError, Violation, invalid

Value = str | int | datetime
Fields = Mapping[str, Value | Mapping[str, str]]
Test = Callable[[Fields], bool]

# A parenthesis, a quoted string, an operator, or a word. A word that starts with a digit may be a time with colons.
_TOKEN = re.compile(
    r"""\s*(?:([()])|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(<=|>=|!=|[=<>:])|(\d[^\s()=<>!"']*|[^\s()=<>!:"']+))"""
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_LABELS = "labels."
_OPENS = "("
_LONGEST = 200  # tokens; the parser is recursive, and Python's stack is limited


def read_filter(text: str, known: Mapping[str, type]) -> Test:
    """Parses a filter; ``known`` holds the fields that it may name, with their types.

    Field names may be written like_this, likeThis or LikeThis. Raises INVALID_ARGUMENT for the field 'filter'.
    """
    return _Parser(text, known).read() if text.strip() else lambda _: True


class _Parser:
    """Recursive descent: either := both (OR both)*; both := term (AND? term)*; term := NOT term | (either) | test."""

    def __init__(self, text: str, known: Mapping[str, type]) -> None:
        self._known = known
        self._tokens = _split(text)
        if len(self._tokens) > _LONGEST:
            raise _wrong(f"has {len(self._tokens)} words, at most {_LONGEST} are allowed")
        self._next = 0

    def read(self) -> Test:
        test = self._either()
        if self._peek():
            raise _wrong(f"unexpected {self._peek()!r}")
        return test

    def _either(self) -> Test:
        tests = [self._both()]
        while self._peek() == "OR":
            self._take()
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda fields: any(test(fields) for test in tests)

    def _both(self) -> Test:
        tests = [self._term()]
        while self._peek() not in {"", "OR", ")"}:
            if self._peek() == "AND":
                self._take()
            tests.append(self._term())
        return tests[0] if len(tests) == 1 else lambda fields: all(test(fields) for test in tests)

    def _term(self) -> Test:
        word = self._take()
        if word == "NOT":
            inner = self._term()
            return lambda fields: not inner(fields)
        if word.startswith("-"):
            negated = self._test(word[1:])
            return lambda fields: not negated(fields)
        if word == _OPENS:
            inner = self._either()
            if self._take() != ")":
                raise _wrong("expected ')'")
            return inner
        return self._test(word)

    def _test(self, field: str) -> Test:
        relation = self._take()
        if relation != ":" and relation not in _COMPARE:
            raise _wrong(f"expected one of = != < > <= >= : after {field!r}")
        value = _unquoted(self._take())
        if field.startswith(_LABELS) or field == "labels":
            return _label_test(field.removeprefix(_LABELS), relation, value)
        name = re.sub(r"(?<=[a-z])[A-Z]", lambda found: "_" + found[0], field).lower()
        if name not in self._known:
            raise _wrong(
                f"there is no field {field!r} to filter by; expected one of {', '.join(self._known)}, labels.KEY"
            )
        return _field_test(name, relation, value, self._known[name])

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        if not token:
            raise _wrong("unexpected end")
        self._next += 1
        return token


def _label_test(key: str, relation: str, value: str) -> Test:
    if key == "labels":
        key, relation, value = value, ":", "*"

    def test(fields: Fields) -> bool:
        labels = fields["labels"]
        found = labels.get(key) if isinstance(labels, Mapping) else None
        if relation == ":" and value == "*":
            return found is not None
        if relation == ":":
            return found is not None and value in found
        return found is not None and _COMPARE[relation](found, value)

    return test


def _field_test(name: str, relation: str, text: str, kind: type) -> Test:
    if relation == ":":
        return lambda fields: text == "*" or text.lower() in str(fields[name]).lower()
    if kind is str and text.endswith("*") and relation in {"=", "!="}:
        beginning, is_equal = text[:-1], relation == "="
        return lambda fields: str(fields[name]).startswith(beginning) is is_equal
    value = _converted(name, text, kind)
    return lambda fields: _COMPARE[relation](fields[name], value)


def _converted(name: str, text: str, kind: type) -> Value:
    try:
        if kind is datetime:
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(text) if kind is int else text
    except ValueError as error:
        what = "a time like 2026-11-22T12:00:00Z" if kind is datetime else "a number"
        raise _wrong(f"{name} is compared with {text!r}, expected {what}") from error


def _split(text: str) -> list[str]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _wrong(f"cannot be parsed from {text[at:]!r} on")
        tokens.append(found[found.lastindex or 0])
        at = found.end()
    return tokens


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1]) if token[0] in "\"'" else token


def _wrong(message: str) -> ApiError:
    return invalid(Violation("filter", message))
