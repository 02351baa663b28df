"""Find a run by what a person types, and the files that belong to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from batch_emulator.engine.task_logs import newest_log
from epydrop.core.phases import Phase
from epydrop.core.run import FailureGroup, Run
from epydrop.errors import BadInput, Problem
from epydrop.formats.names import LOCAL_STATE, QUALITY, Stage
from epydrop.service.ports import Unreadable
from epydrop_workstation.cli.exit_codes import exit_code_of
from epydrop_workstation.local.run_store import SqliteRunStore

_SEARCHED = 10_000


def find_run(runs: SqliteRunStore, text: str) -> Run:
    """The run with this id, or the only one whose id begins so, or with 'latest' the newest.

    Raises BadInput if no run matches, or more than one; UnknownFormat if this version cannot read it.
    """
    stored = runs.load(text)
    if stored is not None:
        return stored.run
    if text == "latest":
        found = list(runs.newest(1))
    else:
        found = [run for run in runs.newest(_SEARCHED) if run.run_id.startswith(text)]
    if len(found) == 1:
        if isinstance(found[0], Unreadable):
            raise found[0].error
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
    try:
        document = json.loads(path.read_bytes())
        verdict, found = str(document["quality"]), sum(len(check["findings"]) for check in document["checks"])
        failed = sum(finding["severity"] == "fail" for check in document["checks"] for finding in check["findings"])
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        return "", f"Quality: {path} cannot be read: {error!r}"
    if not found:
        return verdict, "Quality: every check passed"
    words = f"{found} finding{'s' if found > 1 else ''}" + (f", {failed} of them failed checks" if failed else "")
    return verdict, f"Quality: {words}, see {path}"


def log_of(run: Run, group: FailureGroup, root: Path) -> Path | None:
    """The log of the sample task's newest try in the attempt that lost it."""
    for attempt in reversed(run.attempts):
        if any(group.sample_index in indices for indices in attempt.causes.values()):
            position = attempt.orders.indices.position_of(group.sample_index)
            return newest_log(root / LOCAL_STATE, attempt.job_id, position)
    return None


def done_of(run: Run) -> int:
    """The number of results that exist, as last observed."""
    if run.tasks is None:
        return 0
    attempt = run.current
    if run.phase is Phase.RUNNER and attempt is not None and attempt.stage is Stage.RUNNER:
        return run.tasks - len(run.missing) + attempt.counts.succeeded
    return run.tasks - len(run.missing)


def as_document(run: Run) -> dict[str, Any]:
    """The run as a JSON object: what ``--json`` prints."""
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
