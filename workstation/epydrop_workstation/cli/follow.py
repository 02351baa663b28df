"""Work on a run until it ends, showing how far it is; and say how it ended."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import typer
from rich.console import Console

from epydrop.core.run import Phase, Run
from epydrop.logs import set_up_logs
from epydrop_workstation.cli.options import DEFAULT_ROOT
from epydrop_workstation.cli.progress import LiveProgress, PlainProgress
from epydrop_workstation.cli.run_lookup import (
    INTERRUPTED,
    as_document,
    exit_code_of,
    folder_of,
    log_of,
    quality_of,
    report_of,
)
from epydrop_workstation.local.local_cloud import Machine

GRACE = 60.0  # seconds that an ended run may take to settle; its outputs are whole long before


def follow(machine: Machine, run_id: str, *, as_json: bool) -> None:
    """Brings the run to its end, then exits with its code."""
    set_up_logs(as_json=False, level=logging.DEBUG if os.environ.get("EPYDROP_DEBUG") else logging.ERROR)
    console = Console(stderr=as_json)
    try:
        with _progress(console) as show:
            run = _worked_on(machine, run_id, show)
    except KeyboardInterrupt:
        print("epydrop: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print(json.dumps(as_document(run), indent=1))
    else:
        tell_end(run, machine, console)
    raise typer.Exit(exit_code_of(run))


def _progress(console: Console) -> AbstractContextManager[Callable[[Run, Machine], None]]:
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


def _worked_on(machine: Machine, run_id: str, show: Callable[[Run, Machine], None]) -> Run:
    """The run at its end: no stage at work, nothing left to retry, every job gone, the person told."""
    ended_since: float | None = None

    def is_done() -> bool:
        nonlocal ended_since
        stored = machine.runs.load(run_id)
        if stored is None:
            return False
        run = stored.run
        show(run, machine)
        if run.phase.is_open or run.pending:
            ended_since = None
            return False
        ended_since = ended_since or time.monotonic()
        return not run.unsettled or time.monotonic() - ended_since > GRACE

    machine.work_on(run_id, is_done)
    stored = machine.runs.load(run_id)
    if stored is None:
        raise AssertionError(f"run {run_id} vanished")
    return stored.run


def tell_end(run: Run, machine: Machine, console: Console) -> None:
    """The last words on a run: what came of it, why, and what to do next."""
    colour = {Phase.SUCCEEDED: "green", Phase.FAILED: "red", Phase.REJECTED: "red"}.get(run.phase, "yellow")
    console.print(f"[bold {colour}]{run.phase}[/]: {run.reason}", highlight=False, soft_wrap=True)
    for problem in run.problems:
        _say(console, f"  {problem}")
    for group in run.failures:
        _say(console, f"  {group}")
        log = log_of(run, group, machine)
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
    where = "" if machine.root == DEFAULT_ROOT.absolute() else f" --root {machine.root}"
    for line in _next_steps(run, f"{run.run_id}{where}"):
        _say(console, line)
    sys.stdout.flush()


def _say(console: Console, line: str) -> None:
    """A line as it is: paths stay whole, so that they can be copied."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _next_steps(run: Run, words: str) -> list[str]:
    """What a person may do now; ``words`` name the run and its root on the command line."""
    match run.phase:
        case Phase.FAILED | Phase.CANCELLED:
            return [
                f"More: epydrop show {words}",
                f"Go on with what is missing: epydrop retry {words}",
            ]
        case Phase.SUCCEEDED if run.missing:
            return [f"Without the results of tasks {run.missing}. Try these again: epydrop retry {words}"]
        case Phase.REJECTED:
            return ["Mend the file and run it again; nothing was computed."]
        case _:
            return []
