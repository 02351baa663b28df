"""Numbers, dates, durations and names as people read them; the filters of the templates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_THIN = "\u202f"  # a narrow no-break space


def count(value: float) -> str:
    """A whole number with its thousands separated."""
    return f"{value:,.0f}".replace(",", _THIN)


def number(value: float) -> str:
    """Three significant digits; whole from 1000 on."""
    if math.isnan(value):
        return "unknown"
    return count(value) if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def people(value: float) -> str:
    """A number of people: whole from 10 on, below with one decimal."""
    return count(value) if value >= 10 else f"{value:.1f}".removesuffix(".0")


def ratio(value: float) -> str:
    """Two decimals."""
    return "unknown" if math.isnan(value) else f"{value:.2f}"


def percent(value: float) -> str:
    """A share as a percentage: whole from 10 % on, below with one decimal."""
    return f"{100 * value:.1f}{_THIN}%" if 0 < abs(value) < 0.1 else f"{100 * value:.0f}{_THIN}%"


def duration(seconds: float) -> str:
    """Seconds, minutes, hours or days, whichever suits."""
    if seconds < 100:
        return f"{seconds:.3g}{_THIN}s" if seconds < 10 else f"{seconds:.0f}{_THIN}s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes}{_THIN}min"
    return f"{seconds / 3600:.1f}{_THIN}h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.1f}{_THIN}days"


def parameter(name: str) -> str:
    """The name of a parameter or scenario without underscores: 'recovery rate', 'R₀'."""
    return name.replace("R0", "R₀").replace("_", " ")


def short(value: Any) -> str:
    """The value of a parameter: three significant digits if it is a float."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def plural(amount: int, one: str, many: str = "") -> str:
    """'1 task', '3 tasks'."""
    return f"{count(amount)} {one if amount == 1 else many or one + 's'}"


def joined(items: Sequence[str], most: int) -> str:
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
    "short": short,
    "plural": plural,
}
"""Name in the templates -> function."""
