"""Whether every planned and every required location has its results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from epydrop_stages.contract.suite import TaskLine
from epydrop_stages.outputs.quality.findings import Finding, Severity

_MOST_LISTED = 10


def location_findings(
    planned: Mapping[str, int], missing: Sequence[TaskLine], required: Collection[str]
) -> Iterator[Finding]:
    """One finding for each planned and each required location. ``planned``: location -> number of its tasks."""
    lost = Counter(line.key.location for line in missing)
    for location in (*planned, *(name for name in required if name not in planned)):
        gone, count = lost[location], planned.get(location, 0)
        numbers = {"missing": gone, "planned": count}
        if gone >= count:  # also a required location that was not planned: 0 of 0
            subject = "this required location" if location in required else "the location"
            state = f"has no results: all {count} of its tasks are missing" if count > 1 else "has no result"
            sentence = f"{subject} {state if count else 'was not planned'}"
            yield Finding("locations", Severity.FAIL, sentence, location, numbers=numbers)
        elif gone:
            sentence = f"{count - gone} of {count} tasks have results ({_listed(missing, location)} missing)"
            yield Finding("locations", Severity.WARN, sentence, location, numbers=numbers)
        else:
            yield Finding("locations", Severity.PASS, "all of its tasks have results", location, numbers=numbers)


def _listed(missing: Sequence[TaskLine], location: str) -> str:
    indices = [line.index for line in missing if line.key.location == location]
    more = f" and {len(indices) - _MOST_LISTED} more" if len(indices) > _MOST_LISTED else ""
    return f"task{'s' if len(indices) > 1 else ''} {', '.join(map(str, indices[:_MOST_LISTED]))}{more}"
