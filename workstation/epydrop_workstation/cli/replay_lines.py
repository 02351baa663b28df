"""The lines that ``epydrop replay`` prints: one for each entry of the history, and what differs below it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from itertools import takewhile

from epydrop import __version__
from epydrop.core.run import HistoryEntry
from epydrop.formats.names import parse_job_id
from epydrop_workstation.replaying import Difference, Recording, Replay, Replayed

HEADINGS = ("", "TIME", "EVENT", "ROW", "PHASE", "EFFECTS")
SAME, DIFFERS, UNRECORDED = "=", "!", "?"
MOST_SHOWN = 20  # differences of one decision
WIDEST = 120  # characters of a value
WORDS = {
    "FileDropped": "file dropped",
    "CheckRequested": "check",
    "CancelRequested": "cancel",
    "RetryRequested": "retry",
    "OutputRequested": "output request",
}


@dataclass(frozen=True)
class Line:
    """A line of text, and its style as rich knows it."""

    text: str
    style: str = ""


def lines_of(recording: Recording, outcome: Replay) -> Iterator[Line]:
    """All lines: a headline, a table of the decisions with their differences, and what it comes to."""
    run = recording.run
    yield Line(f"{run.exp_id}: run {run.run_id}, replayed by epydrop {__version__}; times in UTC", "bold")
    rows = [_cells(replayed) for replayed in outcome.decisions]
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
    yield Line(_row(HEADINGS, widths), "dim")
    for replayed, cells in zip(outcome.decisions, rows, strict=True):
        yield Line(_row(cells, widths), {DIFFERS: "bold red", UNRECORDED: "yellow"}.get(cells[0], ""))
        yield from _explained(replayed)
    yield from _conclusion(outcome)


def _row(cells: Iterable[str], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _cells(replayed: Replayed) -> tuple[str, ...]:
    entry = replayed.entry
    mark = UNRECORDED if replayed.unrecorded else DIFFERS if replayed.differences else SAME
    now = replayed.decision.row if replayed.decision else entry.row
    row = entry.row if now == entry.row else f"{entry.row} -> {now}"
    effects = ", ".join(map(_effect, entry.effects)) or "-"
    return mark, f"{entry.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", _event(entry), row, str(entry.phase), effects


def _event(entry: HistoryEntry) -> str:
    """The event in a few words."""
    kind, job = str(entry.event.get("kind")), entry.event.get("job")
    if isinstance(job, dict):
        return f"{job.get('stage')} {job.get('attempt')} {str(entry.event.get('state') or 'changed').lower()}"
    return WORDS.get(kind, kind)


def _effect(text: str) -> str:
    """An effect without the id of the run: 'submit runner 1'."""
    verb, _, about = text.partition(":")
    job = parse_job_id(about)
    return f"{verb} {job.stage} {job.attempt}" if job else f"{verb} {about}"


def _explained(replayed: Replayed) -> Iterator[Line]:
    if replayed.unrecorded:
        yield Line(f"   not recorded: {replayed.unrecorded}", "yellow")
    yield from _listed(replayed.differences)


def _listed(differences: tuple[Difference, ...]) -> Iterator[Line]:
    for difference in differences[:MOST_SHOWN]:
        then, now = _shown(difference.then, difference.now)
        yield Line(f"   {difference.what}", "red")
        yield Line(f"      then: {then}")
        yield Line(f"      now:  {now}")
    if len(differences) > MOST_SHOWN:
        yield Line(f"   and {len(differences) - MOST_SHOWN} more", "red")


def _shown(*values: object) -> list[str]:
    """The values as text; of long ones the part where they begin to differ."""
    texts = [_text(value) for value in values]
    alike = sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False)))
    start = max(0, alike - WIDEST // 3) if max(map(len, texts)) > WIDEST else 0
    return [
        ("..." if start else "") + text[start : start + WIDEST] + ("..." if len(text) > start + WIDEST else "")
        for text in texts
    ]


def _text(value: object) -> str:
    if value is None:
        return "nothing"
    is_plain = isinstance(value, str) and value.isprintable() and value
    return str(value) if is_plain else json.dumps(value, ensure_ascii=False)


def _conclusion(outcome: Replay) -> Iterator[Line]:
    count, differing, unrecorded = len(outcome.decisions), outcome.differing, outcome.unrecorded
    parts = [f"{differing} different ({DIFFERS})"] if differing else []
    parts += [f"{unrecorded} not recorded ({UNRECORDED}), so nothing can be said of them"] if unrecorded else []
    same = f"{count - differing - unrecorded} the same" if parts else "all the same"
    style = "bold red" if differing else "yellow" if unrecorded else "green"
    yield Line(f"{count} decision{'s' if count != 1 else ''}: {', '.join((same, *parts))}", style)
    if outcome.loose_ends:
        yield Line("The history (then) does not lead to the run as it is stored (now):", "bold red")
        yield from _listed(outcome.loose_ends)
