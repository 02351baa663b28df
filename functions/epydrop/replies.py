"""The answer beside the dropped file: what became of it, for a person and for a program. Pure."""

from __future__ import annotations

import json

from epydrop.run import Phase, Run

_HEADLINES = {
    Phase.SUCCEEDED: "finished",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "cancelled",
    Phase.REJECTED: "rejected",
}


def reply_json(run: Run) -> bytes:
    """The reply for programs; ``serial`` grows with every change of the run."""
    reply = {
        "run_id": run.run_id,
        "exp_id": run.exp_id,
        "serial": run.serial,
        "phase": run.phase,
        "reason": run.reason,
        "problems": run.problems,
        "run_url": run.run_url,
        "outputs_url": run.run_url + run.published if run.published else None,
        "tasks": run.tasks,
        "partial": run.is_partial,
        "missing": str(run.missing) if run.phase is Phase.SUCCEEDED else None,
        "failures": [str(group) for group in run.failures],
    }
    return json.dumps(reply, indent=1, ensure_ascii=False).encode() + b"\n"


def reply_markdown(run: Run) -> bytes:
    """The reply for people."""
    headline = _HEADLINES.get(run.phase, "accepted")
    lines = [f"# {run.exp_id}: {headline}", "", f"Run `{run.run_id}`: {run.reason}.", ""]
    lines += [f"- {problem}" for problem in run.problems]
    lines += [f"- {group}" for group in run.failures]
    if run.published:
        lines.append(f"Outputs: {run.run_url}{run.published}")
    elif run.phase.is_open:
        lines.append(f"Its files appear under {run.run_url}")
    return "\n".join(lines).rstrip().encode() + b"\n"


def serial_of(reply: bytes) -> int:
    """The serial of a reply that was written before; 0 for what is no reply of ours."""
    try:
        document = json.loads(reply)
    except ValueError:
        return 0
    serial = document.get("serial") if isinstance(document, dict) else None
    return serial if isinstance(serial, int) else 0
