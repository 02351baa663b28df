"""The state diagram of docs/architecture.md, printed from the table."""

from __future__ import annotations

from collections.abc import Iterable

from epydrop.core.phases import OPEN, Phase
from epydrop.core.table import TABLE, Row

_AT_WORK = "at_work"


def state_diagram(rows: Iterable[Row] = TABLE) -> str:
    """The table as a Mermaid state diagram: what is true of every open phase is drawn once, around all three."""
    arrows: dict[tuple[str, str], list[str]] = {
        ("[*]", "builder"): ["file dropped, valid"],
        ("[*]", "rejected"): ["file dropped, invalid"],
    }
    for row in rows:
        for start in _together(row.phases):
            for end in _together(row.to):
                words = arrows.setdefault((start, end), [])
                words += [row.words] if row.words not in words else []
    lines = [f"    {start} --> {end}: {', or '.join(words)}" for (start, end), words in arrows.items()]
    inside = [line for line in lines if _is_inside(line)]
    outside = [line for line in lines if not _is_inside(line)]
    state = [f"    state {_AT_WORK} {{", *(f"    {line}" for line in inside), "    }"]
    return "\n".join(["stateDiagram-v2", *state, *outside])


def _together(phases: tuple[Phase, ...]) -> tuple[str, ...]:
    return (_AT_WORK,) if phases == OPEN else phases


def _is_inside(line: str) -> bool:
    start, _, end = line.split(":", maxsplit=1)[0].split()
    return start in OPEN and end in OPEN
