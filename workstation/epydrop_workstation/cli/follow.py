"""Work on a run until it ends, showing its progress; then print how it ended."""

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

from epydrop.core.run import Run
from epydrop.logs import set_up_logs
from epydrop_workstation.cli.exit_codes import INTERRUPTED, exit_code_of
from epydrop_workstation.cli.progress import LiveProgress, PlainProgress
from epydrop_workstation.cli.run_lookup import as_document
from epydrop_workstation.cli.run_summary import print_summary
from epydrop_workstation.local.local_cloud import Machine

GRACE = 60.0  # seconds that an ended run may take to settle; its outputs are whole long before


def follow(machine: Machine, run_id: str, *, as_json: bool) -> None:
    """Work on the run until it ends, then exit with its code."""
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
        print_summary(run, machine.root, console)
    raise typer.Exit(exit_code_of(run))


def _progress(console: Console) -> AbstractContextManager[Callable[[Run, Machine], None]]:
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


def _worked_on(machine: Machine, run_id: str, show: Callable[[Run, Machine], None]) -> Run:
    """The run once it has ended: no open stage or pending retry, every job ended, the reply written."""
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
