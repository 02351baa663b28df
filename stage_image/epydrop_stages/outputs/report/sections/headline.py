"""The first screen: how far to trust the run, and what is missing, before any figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from epydrop_stages.outputs.quality.checks import CHECKS, Severity, worst
from epydrop_stages.outputs.report.material import Material
from epydrop_stages.outputs.report.words import count, duration, joined, plural

_MOST_SENTENCES = 5
_MOST_NAMES = 6

_VERDICTS = {
    Severity.FAIL: "Do not forward this as it is",
    Severity.WARN: "Usable, with reservations",
    Severity.PASS: "All checks passed",
}


def headline(material: Material) -> dict[str, Any]:
    """What the page's head needs."""
    dropped = datetime.strptime(material.facts.run_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    return {
        "dropped": f"{dropped:%d %B %Y, %H:%M} UTC".lstrip("0"),
        "verdict": material.quality.verdict,
        "verdict_words": _VERDICTS[material.quality.verdict],
        "complete": _completeness(material),
        "reasons": list(_reasons(material))[:_MOST_SENTENCES],
        "tiles": list(_tiles(material)),
    }


def _completeness(material: Material) -> str:
    """What is there, in a sentence or two."""
    facts = material.facts
    every = "the one task has its result" if facts.tasks == 1 else f"all {count(facts.tasks)} tasks have their results"
    locations = len(facts.locations)
    if not facts.missing:
        return (
            (f"All {count(locations)} locations are here: " if locations > 1 else "Nothing is missing: ") + every + "."
        )
    lost = Counter(line.key.location for line, _ in facts.missing)
    verb = "has" if len(facts.missing) == 1 else "have"
    sentence = f"{plural(len(facts.missing), 'task')} of {count(facts.tasks)} {verb} no result"
    if locations == 1:
        return f"{sentence}."
    gone = [name for name, planned in facts.locations.items() if lost[name] >= planned]
    fewer = [name for name in facts.locations if lost[name] and name not in gone]
    absent = f"{_names(material, gone)} {'is' if len(gone) == 1 else 'are'} missing entirely" if gone else ""
    weaker = f"{_names(material, fewer)} {'rests' if len(fewer) == 1 else 'rest'} on fewer tasks" if fewer else ""
    return f"{sentence}: {'; '.join(filter(None, [absent, weaker]))}."


def _names(material: Material, locations: list[str]) -> str:
    return joined([material.place(name) for name in locations], _MOST_NAMES)


def _reasons(material: Material) -> Iterator[dict[str, Any]]:
    """One sentence for each check that found something, the worst first; what is missing has been said."""
    findings = [finding for finding in material.quality.findings if finding.check != "locations"]
    for check in dict.fromkeys(finding.check for finding in findings):
        same = [finding for finding in findings if finding.check == check]
        where = list(dict.fromkeys(finding.location for finding in same if finding.location))
        if len(where) > 1 or (where and len(material.facts.locations) > 1):
            sentence = f"{CHECKS[check].broken}: {_names(material, where)}"
        else:
            more = f", and {len(same) - 1} more like this" if len(same) > 1 else ""
            sentence = f"{CHECKS[check].broken}: {same[0].sentence}{more}"
        yield {"severity": worst(finding.severity for finding in same), "sentence": f"{sentence}."}


def _tiles(material: Material) -> Iterator[tuple[str, str]]:
    """A few numbers at a glance: (value, what it is)."""
    facts = material.facts
    yield f"{count(facts.tasks - len(facts.missing))} of {count(facts.tasks)}", "tasks with a result"
    if len(facts.locations) > 1:
        present = len({point.location for point in material.points})
        yield f"{count(present)} of {count(len(facts.locations))}", "locations"
    if len(material.points) > len(facts.locations):
        yield count(len(material.points)), "points"
    if material.experiment.tasks.chains > 1:
        yield str(material.experiment.tasks.chains), "chains a point"
    ends = {forecast.last[0] for point in material.points for forecast in point.forecasts}
    if ends:
        yield str(max(ends)), "fitted until" if len(ends) == 1 else f"fitted until, the first location {min(ends)}"
    if facts.totals.get("records_read"):
        yield duration(facts.totals["cpu_seconds"]), "processor time"
