"""One unquoted text of a YAML file to its value."""

from __future__ import annotations

import math

MAX_DIGITS = 40
MAX_SHOWN = 80

_BASES = {"0b": 2, "0o": 8, "0x": 16}


class UnfitScalar(Exception):
    """A text that can be no value; the message and the hint are for the person who wrote it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def scalar(text: str, kind: str) -> str | int | float | bool | None:
    """The value of a text that YAML takes for this kind: null, bool, int, float or any other. Raises UnfitScalar."""
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind in {"int", "float"}:
        return _number(text, kind)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnfitScalar("this text holds half of a character", "write the character itself") from None
    return text


def _number(text: str, kind: str) -> int | float | str:
    digits = text.replace("_", "").lower()
    if len(digits) > MAX_DIGITS:
        raise UnfitScalar(f"a number may have at most {MAX_DIGITS} digits", "quote it if it is text")
    try:
        if kind == "int":
            return int(digits, _BASES.get(digits.lstrip("+-")[:2], 10))
        number = float(digits.replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:  # such as '._', which the resolver takes for a number
        return text
    if not math.isfinite(number):
        raise UnfitScalar(f"expected a finite number, got {short(text)}")
    return number


def short(text: str) -> str:
    """The text, cut where nobody reads on."""
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."
