"""Numbers, dates and durations as people read them."""

from __future__ import annotations

import math
from typing import Any

_THIN = "\u202f"  # a narrow space that does not break


def count(value: float) -> str:
    """A whole number, its thousands apart."""
    return f"{value:,.0f}".replace(",", _THIN)


def number(value: float) -> str:
    """Three significant digits, or a whole number."""
    if math.isnan(value):
        return "unknown"
    return count(value) if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def people(value: float) -> str:
    """How many people: whole ones, but for few."""
    return count(value) if value >= 10 else f"{value:.1f}".removesuffix(".0")


def ratio(value: float) -> str:
    """Two decimals."""
    return "unknown" if math.isnan(value) else f"{value:.2f}"


def percent(value: float) -> str:
    """A share in percent."""
    return f"{100 * value:.1f}{_THIN}%" if 0 < abs(value) < 0.1 else f"{100 * value:.0f}{_THIN}%"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, as it suits."""
    if seconds < 100:
        return f"{seconds:.3g}{_THIN}s" if seconds < 10 else f"{seconds:.0f}{_THIN}s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes}{_THIN}min"
    return f"{seconds / 3600:.1f}{_THIN}h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.1f}{_THIN}days"


def parameter(name: str) -> str:
    """A parameter's name in words."""
    return name.replace("R0", "R₀").replace("_", " ")


def plural(amount: int, one: str, many: str = "") -> str:
    """'1 task', '3 tasks'."""
    return f"{count(amount)} {one if amount == 1 else many or one + 's'}"


def joined(items: list[str], most: int) -> str:
    """'a, b, c and 5 more'."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


FILTERS: dict[str, Any] = {
    "count": count,
    "number": number,
    "people": people,
    "percent": percent,
    "ratio": ratio,
    "duration": duration,
    "parameter": parameter,
    "plural": plural,
}
