"""Plain values to YAML that every YAML parser reads the same way; equal values give equal bytes.

Not ruamel.yaml's writer: it leaves some keys unquoted, such as '=' and those that begin with ':', that it cannot read.
"""

from __future__ import annotations

import json
import re

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # not text to some YAML 1.1 or 1.2 parsers
_INVISIBLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LONGEST_KEY = 1000  # YAML requires a '?' in front of keys of more than 1024 characters


def write_yaml(document: dict[str, object]) -> bytes:
    """The document as YAML in UTF-8: text, numbers, booleans, None, lists and mappings with text keys."""
    return ("\n".join(_block(document) if document else ["{}"]) + "\n").encode()


def _block(value: object) -> list[str]:
    """The lines of a mapping or list in block style."""
    if not isinstance(value, dict):
        return [line for item in _items(value) for line in _with_marker("- ", _lines(item))]
    lines = []
    for key, inner in value.items():
        name = _text(key)
        if len(name) > _LONGEST_KEY:
            lines += [f"? {name}", *_with_marker(": ", _lines(inner))]
        elif _fits_a_line(inner):
            lines += [f"{name}: {_line(inner)}"]
        else:
            lines += [f"{name}:", *(f"  {line}" for line in _block(inner))]
    return lines


def _with_marker(marker: str, lines: list[str]) -> list[str]:
    return [marker + lines[0], *(f"  {line}" for line in lines[1:])]


def _lines(value: object) -> list[str]:
    return [_line(value)] if _fits_a_line(value) else _block(value)


def _fits_a_line(value: object) -> bool:
    if isinstance(value, dict):
        return not value
    return all(map(_fits_a_line, _items(value)))


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _line(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_line, value))}]"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        mantissa, e, exponent = repr(value).partition("e")
        # A YAML 1.1 parser takes 1e-05 for text, and 1.0e-05 for a number.
        return mantissa + (".0" if e and "." not in mantissa else "") + e + exponent
    return json.dumps(value)


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return _INVISIBLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))
