"""The head of the page: whether the run can be used, and what is missing, before any figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from epydrop_stages.outputs.quality.findings import CHECKS, Severity, worst
from epydrop_stages.outputs.report.context import ReportContext
from epydrop_stages.outputs.report.formatting import count, duration, joined, plural

_MOST_REASONS = 5
_MOST_NAMES = 6

_VERDICTS = {
    Severity.FAIL: "Do not use these results as they are",
    Severity.WARN: "Usable, with reservations",
    Severity.PASS: "All checks passed",
}


def headline(context: ReportContext) -> dict[str, Any]:
    """The variables of the page's head."""
    # A run id starts with the time at which its file was dropped.
    dropped = datetime.strptime(context.facts.run_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    return {
        "dropped": f"{dropped:%d %B %Y, %H:%M} UTC".lstrip("0"),
        "verdict": context.quality.verdict,
        "verdict_words": _VERDICTS[context.quality.verdict],
        "complete": _completeness(context),
        "reasons": list(_reasons(context))[:_MOST_REASONS],
        "tiles": list(_tiles(context)),
    }


def _completeness(context: ReportContext) -> str:
    """Which tasks and locations have results, in one sentence."""
    facts = context.facts
    if not facts.missing:
        every = "the only task has a result" if facts.tasks == 1 else f"all {count(facts.tasks)} tasks have results"
        locations = len(facts.locations)
        return f"All {count(locations)} locations are present: {every}." if locations > 1 else f"Complete: {every}."
    lost = Counter(line.key.location for line, _ in facts.missing)
    verb = "has" if len(facts.missing) == 1 else "have"
    sentence = f"{count(len(facts.missing))} of {plural(facts.tasks, 'task')} {verb} no result"
    if len(facts.locations) == 1:
        return f"{sentence}."
    gone = [name for name, planned in facts.locations.items() if lost[name] >= planned]
    fewer = [name for name in facts.locations if lost[name] and name not in gone]
    missing = f"{_names(context, gone)} {'is' if len(gone) == 1 else 'are'} missing entirely" if gone else ""
    partial = f"{_names(context, fewer)} {'has' if len(fewer) == 1 else 'have'} only some of the tasks" if fewer else ""
    return f"{sentence}: {'; '.join(filter(None, [missing, partial]))}."


def _names(context: ReportContext, locations: Sequence[str]) -> str:
    return joined([context.location_name(name) for name in locations], _MOST_NAMES)


def _reasons(context: ReportContext) -> Iterator[dict[str, Any]]:
    """One sentence for each check that found something, the worst first."""
    findings = [finding for finding in context.quality.findings if CHECKS[finding.check].in_summary]
    for check in dict.fromkeys(finding.check for finding in findings):
        same = [finding for finding in findings if finding.check == check]
        where = list(dict.fromkeys(finding.location for finding in same if finding.location))
        # With several locations their names matter most, with one the numbers do.
        if len(where) > 1 or (where and len(context.facts.locations) > 1):
            sentence = f"{CHECKS[check].failed}: {_names(context, where)}"
        else:
            more = f", and {len(same) - 1} more like this" if len(same) > 1 else ""
            sentence = f"{CHECKS[check].failed}: {same[0].sentence}{more}"
        yield {"severity": worst(finding.severity for finding in same), "sentence": f"{sentence}."}


def _tiles(context: ReportContext) -> Iterator[tuple[str, str]]:
    """A few numbers at a glance: (value, label)."""
    facts = context.facts
    yield f"{count(facts.tasks - len(facts.missing))} of {count(facts.tasks)}", "tasks with a result"
    if len(facts.locations) > 1:
        present = len({point.location for point in context.points})
        yield f"{count(present)} of {count(len(facts.locations))}", "locations"
    if len(context.points) > len(facts.locations):
        yield count(len(context.points)), "points"
    if context.experiment.tasks.chains > 1:
        yield str(context.experiment.tasks.chains), "chains per point"
    ends = {forecast.last[0] for point in context.points for forecast in point.forecasts}
    if ends:
        yield str(max(ends)), "last fitted date" if len(ends) == 1 else f"last fitted date, the earliest is {min(ends)}"
    if facts.totals.get("records_read"):
        yield duration(facts.totals["cpu_seconds"]), "processor time"
