"""The text of one YAML scalar to its value."""

from __future__ import annotations

import math

from epydrop.experiment.text.wording import short

MAX_DIGITS = 40  # Python takes quadratic time to convert long integers

_BASES = {"0b": 2, "0o": 8, "0x": 16}


class InvalidScalar(Exception):
    """A text that cannot be a value; message and hint are for the person who wrote it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def scalar(text: str, kind: str) -> str | int | float | bool | None:
    """The value of a text; ``kind`` is YAML's type of it: null, bool, int, float or another. Raises InvalidScalar."""
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind in {"int", "float"}:
        return _number(text, kind)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidScalar("this text contains half of a surrogate pair", "write the character itself") from None
    return text


def _number(text: str, kind: str) -> int | float | str:
    digits = text.replace("_", "").lower()
    if len(digits) > MAX_DIGITS:
        raise InvalidScalar(f"a number may have at most {MAX_DIGITS} digits", "put it in quotes if it is text")
    try:
        if kind == "int":
            return int(digits, _BASES.get(digits.lstrip("+-")[:2], 10))
        number = float(digits.replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:  # such as '._', which YAML's pattern for numbers matches
        return text
    if not math.isfinite(number):
        raise InvalidScalar(f"expected a finite number, got {short(text)}")
    return number
