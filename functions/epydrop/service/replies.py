"""Replies beside dropped files, for people (Markdown) and for programs (JSON)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from epydrop.core.causes import Cause
from epydrop.core.phases import Phase
from epydrop.core.run import Run
from epydrop.formats.names import REPORT, Stage

_QUALITY = {
    "pass": "Quality: every check passed.",
    "warn": "Quality: usable with reservations; see the top of the report.",
    "fail": "Quality: **checks failed; do not use these results as they are.** See the top of the report.",
}
_SERIAL = re.compile(rb"<!-- serial (\d+) -->")


@dataclass(frozen=True)
class Signposts:
    """Where to look at a run and which commands to run next; ``links`` maps a label to a URL.

    ``outputs`` and ``report`` are empty as long as no set of outputs is whole.
    """

    links: dict[str, str] = field(default_factory=dict)
    outputs: str = ""
    report: str = ""
    cancel: str = ""
    retry: str = ""


def by_folder(run: Run) -> Signposts:
    """The signposts of a local run: its folder, and the command ``epydrop``."""
    changes = " ".join(
        f"--{name.replace('_', '-')} {value}" for name, value in suggested_retry(run).items() if name != "retry"
    )
    outputs = run.run_url + run.published if run.published else ""
    return Signposts(
        links={"Files": run.run_url},
        outputs=outputs,
        report=outputs and outputs + REPORT,
        cancel=f"epydrop cancel {run.run_id}",
        retry=f"epydrop retry {run.run_id} {changes}".rstrip(),
    )


def suggested_retry(run: Run) -> dict[str, object]:
    """The retry kick for an ended run, with the changes that its failures call for."""
    kick: dict[str, object] = {"retry": run.run_id}
    attempt = run.current
    if attempt is None or run.phase is not Phase.FAILED:
        return kick
    size = attempt.orders.resources
    causes = {group.cause for group in run.failures} | {run.cause}
    for cause in Cause:  # in the order of the table, so that the same failures give the same command
        if cause in causes and cause.raises:
            kick[cause.raises] = 2 * getattr(size, cause.raises)
    return kick


def reply_json(run: Run, signposts: Signposts) -> bytes:
    """The reply for programs; ``serial`` grows with every change of the run."""
    return _json(
        {
            "run_id": run.run_id,
            "exp_id": run.exp_id,
            "serial": run.serial,
            "phase": run.phase,
            "reason": run.reason,
            "problems": run.problems,
            "run_url": run.run_url,
            "outputs_url": run.run_url + run.published if run.published else None,
            "expected_tasks": run.plan.expected_tasks,
            "tasks": run.tasks,
            "partial": run.is_partial,
            "quality": run.quality or None,
            "missing": str(run.missing) if run.phase is Phase.SUCCEEDED else None,
            "failures": [str(group) for group in run.failures],
            "links": signposts.links,
            "report": signposts.report or None,
        }
    )


def reply_markdown(run: Run, signposts: Signposts) -> bytes:
    """The reply for people."""
    headline = run.phase.headline
    blocks = [
        f"# {run.exp_id}: {headline}",
        f"Run `{run.run_id}`: {run.reason}.",
        _size(run),
        _QUALITY.get(run.quality, "") if run.phase is Phase.SUCCEEDED else "",
        _bullets([*run.problems, *map(str, run.failures)]),
        _bullets(f"{what}: {where}" for what, where in _places(signposts)),
        _next(run, signposts),
        f"<!-- serial {run.serial} -->",
    ]
    return "\n\n".join(filter(None, blocks)).encode() + b"\n"


@dataclass(frozen=True)
class KickOutcome:
    """The result of a person's command, in one sentence. ``unchanged``: valid, but it changed nothing."""

    words: str
    run_id: str = ""
    refused: bool = False
    unchanged: bool = False


def kick_reply_json(outcome: KickOutcome) -> bytes:
    """The reply to a dropped kick, for programs."""
    return _json({"refused": outcome.refused, "run_id": outcome.run_id or None, "outcome": outcome.words})


def kick_reply_markdown(outcome: KickOutcome) -> bytes:
    """The reply to a dropped kick, for people."""
    headline = "refused" if outcome.refused else "changed nothing" if outcome.unchanged else "taken"
    about = f"Run `{outcome.run_id}`: " if outcome.run_id else ""
    return f"# Kick {headline}\n\n{about}{outcome.words}.\n".encode()


def serial_of(reply: bytes) -> int:
    """The serial in an earlier reply of either form; 0 if it is not one of ours."""
    comment = _SERIAL.search(reply)
    if comment:
        return int(comment[1])
    try:
        document = json.loads(reply)
    except (ValueError, RecursionError):
        return 0
    serial = document.get("serial") if isinstance(document, dict) else None
    return serial if isinstance(serial, int) else 0


def _size(run: Run) -> str:
    """The size of an open run."""
    if not run.phase.is_open:
        return ""
    if run.tasks is None and run.plan.expected_tasks is None:
        return "The builder will say how many tasks there are."
    tasks = f"{run.tasks} tasks" if run.tasks is not None else f"About {run.plan.expected_tasks} tasks"
    size = run.plan.stages[Stage.RUNNER]
    each = f"{size.cpu_milli / 1000:g} vCPU and {size.memory_mib} MiB each"
    return f"{tasks}, at most {run.plan.max_parallelism} at a time, with {each}."


def _places(signposts: Signposts) -> Iterator[tuple[str, str]]:
    if signposts.report:
        yield "Report", signposts.report
    if signposts.outputs:
        yield "Outputs", signposts.outputs
    yield from signposts.links.items()


def _next(run: Run, signposts: Signposts) -> str:
    """What the person can do next."""
    if run.phase.is_open:
        return f"This reply changes when the run ends. To cancel it:\n\n    {signposts.cancel}"
    if run.phase is Phase.REJECTED:
        return "Nothing was spent. Fix the file and drop it again."
    if run.phase is Phase.SUCCEEDED and not run.missing:
        return ""
    return f"To resume it, computing only what is missing:\n\n    {signposts.retry}"


def _bullets(lines: Iterator[str] | list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"
