"""Which of the planned locations are there, and which are not: a forecast must not miss one in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from epydrop_stages.contract.suite import TaskLine
from epydrop_stages.outputs.quality.checks import Finding, Severity

_NAMED = 10


def location_findings(
    planned: Mapping[str, int], missing: Sequence[TaskLine], required: Collection[str]
) -> Iterator[Finding]:
    """One finding for each location that lacks something. ``planned``: location -> its number of tasks."""
    lost = Counter(line.key.location for line in missing)
    for location in (*planned, *(name for name in required if name not in planned)):
        gone, count = lost[location], planned.get(location, 0)
        numbers = {"missing": gone, "planned": count}
        if gone >= count:
            word = "this required location is" if location in required else "it is"
            sentence = f"{word} missing: none of its {count} tasks has a result" if count else f"{word} not planned"
            yield Finding("locations", Severity.FAIL, sentence, location, numbers=numbers)
        elif gone:
            sentence = f"it rests on {count - gone} of {count} tasks ({_named(missing, location)} missing)"
            yield Finding("locations", Severity.WARN, sentence, location, numbers=numbers)
        else:
            yield Finding("locations", Severity.PASS, "all of its tasks have results", location, numbers=numbers)


def _named(missing: Sequence[TaskLine], location: str) -> str:
    indices = [line.index for line in missing if line.key.location == location]
    more = f" and {len(indices) - _NAMED} more" if len(indices) > _NAMED else ""
    return f"task{'s' if len(indices) > 1 else ''} {', '.join(map(str, indices[:_NAMED]))}{more}"
