"""The state diagram in the README, printed from the table."""

from __future__ import annotations

from collections.abc import Iterable

from epydrop.decide import TABLE, Row


def state_diagram(rows: Iterable[Row] = TABLE) -> str:
    """The table as a Mermaid state diagram: one arrow for each way from one phase to another."""
    arrows = ["    [*] --> builder: file dropped, valid", "    [*] --> rejected: file dropped, invalid"]
    for row in rows:
        arrows += [f"    {phase} --> {to}: {row.words}" for phase, to in row.arrows]
    return "\n".join(["stateDiagram-v2", *dict.fromkeys(arrows)])
