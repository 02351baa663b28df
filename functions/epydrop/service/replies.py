"""The answer beside a dropped file: what became of it, for a person and for a program. Pure."""

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
    "warn": "Quality: usable with reservations, which the report begins with.",
    "fail": "Quality: **checks failed, do not forward it as it is.** The report begins with what they found.",
}
_SERIAL = re.compile(rb"<!-- serial (\d+) -->")


@dataclass(frozen=True)
class Signposts:
    """Where to look at a run, and what to type next, in one kind of world; ``links`` maps a word or two to an address.

    ``outputs`` and ``report`` are empty as long as no set of outputs is whole.
    """

    links: dict[str, str] = field(default_factory=dict)
    outputs: str = ""
    report: str = ""
    cancel: str = ""
    retry: str = ""


def by_folder(run: Run) -> Signposts:
    """The signposts on one machine: the run's folder, and the command ``epydrop``."""
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
    """The kick by which an ended run may go on, with the change that its failures call for."""
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
    """The serial of a reply that was written before, in either form; 0 for what is no reply of ours."""
    comment = _SERIAL.search(reply)
    if comment:
        return int(comment[1])
    try:
        document = json.loads(reply)
    except ValueError:
        return 0
    serial = document.get("serial") if isinstance(document, dict) else None
    return serial if isinstance(serial, int) else 0


def _size(run: Run) -> str:
    """How much there is to do, as long as that is news."""
    if not run.phase.is_open:
        return ""
    if run.tasks is None and run.plan.expected_tasks is None:
        return "How many tasks that makes, the builder will tell."
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
    """What the person can do now."""
    if run.phase.is_open:
        return f"This reply changes when the run has ended. To end it before:\n\n    {signposts.cancel}"
    if run.phase is Phase.REJECTED:
        return "Nothing was spent. Mend the file and drop it again."
    if run.phase is Phase.SUCCEEDED and not run.missing:
        return ""
    return f"To let it go on, computing only what is missing:\n\n    {signposts.retry}"


def _bullets(lines: Iterator[str] | list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"
