"""What the command prints about a run that it does not work on any more."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from epydrop.core.phases import Phase
from epydrop.core.run import Run
from epydrop_workstation.cli.options import as_typed
from epydrop_workstation.cli.run_lookup import folder_of, log_of, quality_of, report_of


def print_summary(run: Run, root: Path, console: Console) -> None:
    """Print how the run stands: its phase and why, its failures and files, and what to do next."""
    colour = {Phase.SUCCEEDED: "green", Phase.FAILED: "red", Phase.REJECTED: "red"}.get(run.phase, "yellow")
    console.print(f"[bold {colour}]{run.phase}[/]: {run.reason}", highlight=False, soft_wrap=True)
    for problem in run.problems:
        _say(console, f"  {problem}")
    for group in run.failures:
        _say(console, f"  {group}")
        log = log_of(run, group, root)
        if log:
            _say(console, f"    log: {log}")
        if group.record:
            _say(console, f"    traceback: {folder_of(run) / group.record}")
    report = report_of(run)
    if report:
        _say(console, f"Tables: {report.parent}")
        _say(console, f"Report: {report}")
    if line := quality_of(run)[1]:
        _say(console, line)
    for line in _next_steps(run, as_typed(run.run_id, root)):
        _say(console, line)
    sys.stdout.flush()


def _say(console: Console, line: str) -> None:
    """Print a line without markup or wrapping, so that paths can be copied."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _next_steps(run: Run, words: str) -> list[str]:
    """The commands that make sense now; ``words`` name the run and its root on the command line."""
    match run.phase:
        case Phase.FAILED | Phase.CANCELLED:
            return [
                f"More: epydrop show {words}",
                f"Go on with what is missing: epydrop retry {words}",
            ]
        case Phase.SUCCEEDED if run.missing:
            return [f"Without the results of tasks {run.missing}. Try these again: epydrop retry {words}"]
        case Phase.REJECTED:
            return ["Fix the file and run it again; nothing was computed."]
        case _:
            return []
