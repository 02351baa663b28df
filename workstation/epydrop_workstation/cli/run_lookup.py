"""How a run ended, as an exit code and as words; and how to find a run by what a person types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from epydrop.core.run import FailureGroup, Phase, Run
from epydrop.errors import BadInput, ExitCode, Problem
from epydrop.formats.names import QUALITY, Stage
from epydrop_workstation.local.local_cloud import Machine
from epydrop_workstation.local.run_store import SqliteRunStore

FAILED = 1
PARTIAL = 3
CANCELLED = 4
INTERRUPTED = 130

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done without some results (as min_success allows), 4 cancelled, "
    "64 a folder or setting is missing, 65 the experiment is wrong, 75 try again later, 130 interrupted."
)

_SEARCHED = 10_000


def exit_code_of(run: Run) -> int:
    """What a script is told of a run."""
    match run.phase:
        case Phase.SUCCEEDED:
            return PARTIAL if run.missing else 0
        case Phase.CANCELLED:
            return CANCELLED
        case Phase.REJECTED:
            return ExitCode.BAD_INPUT
        case Phase.FAILED:
            return FAILED
        case _:
            return 0


def find_run(runs: SqliteRunStore, text: str) -> Run:
    """The run that is meant. Raises BadInput when there is none, or several begin alike."""
    stored = runs.load(text)
    if stored is not None:
        return stored.run
    if text == "latest":
        found = list(runs.newest(1))
    else:
        found = [run for run in runs.newest(_SEARCHED) if run.run_id.startswith(text)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(run.run_id for run in found[:5])
        raise BadInput(Problem(f"{len(found)} runs begin with {text!r}: {ids}", hint="type more of the id"))
    raise BadInput(Problem(f"there is no run {text!r} here", hint="epydrop runs lists them; --root names the folder"))


def folder_of(run: Run) -> Path:
    """The run's folder on this machine."""
    return Path(unquote(urlsplit(run.run_url).path))


def report_of(run: Run) -> Path | None:
    """The report of the newest complete outputs."""
    report = folder_of(run) / run.published / "report.html"
    return report if run.published and report.exists() else None


def quality_of(run: Run) -> tuple[str, str]:
    """The verdict on the newest outputs ('pass', 'warn' or 'fail') and a line about it; both empty if none was made."""
    path = folder_of(run) / run.outputs / QUALITY
    if run.phase is not Phase.SUCCEEDED or not path.exists():
        return "", ""
    document = json.loads(path.read_bytes())
    found = sum(len(check["findings"]) for check in document["checks"])
    if not found:
        return document["quality"], "Quality: every check passed"
    failed = sum(finding["severity"] == "fail" for check in document["checks"] for finding in check["findings"])
    words = f"{found} finding{'s' if found > 1 else ''}" + (f", {failed} of them failed checks" if failed else "")
    return document["quality"], f"Quality: {words}, see {path}"


def log_of(run: Run, group: FailureGroup, machine: Machine) -> Path | None:
    """The log of the sample task's newest try in the attempt that lost it."""
    for attempt in reversed(run.attempts):
        if any(group.sample_index in indices for indices in attempt.causes.values()):
            log = machine.jobs.task_log(attempt.job_id, attempt.orders.indices.position_of(group.sample_index))
            return log if log.exists() else None
    return None


def done_of(run: Run) -> int:
    """How many results are there, as far as was seen."""
    if run.tasks is None:
        return 0
    attempt = run.current
    if run.phase is Phase.RUNNER and attempt is not None and attempt.stage is Stage.RUNNER:
        return run.tasks - len(run.missing) + attempt.counts.succeeded
    return run.tasks - len(run.missing)


def as_document(run: Run) -> dict[str, Any]:
    """The run for programs: what ``--json`` prints."""
    report = report_of(run)
    return {
        "run_id": run.run_id,
        "exp_id": run.exp_id,
        "phase": str(run.phase),
        "reason": run.reason,
        "exit_code": exit_code_of(run),
        "tasks": run.tasks,
        "done": done_of(run),
        "missing": str(run.missing) if not run.phase.is_open else "",
        "failures": [str(group) for group in run.failures],
        "problems": list(run.problems),
        "folder": str(folder_of(run)),
        "outputs": str(folder_of(run) / run.published) if run.published else None,
        "report": str(report) if report else None,
        "quality": quality_of(run)[0] or None,
        "created": run.created.isoformat(),
        "updated": run.updated.isoformat(),
    }
