"""``epydrop runs``: the runs in a folder, newest first."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from epydrop.core.run import Run
from epydrop.service.ports import Unreadable
from epydrop_workstation.cli.options import DEFAULT_ROOT, AsJson, Root
from epydrop_workstation.cli.run_lookup import as_document, done_of
from epydrop_workstation.local.run_store import stored_runs

UNREADABLE = ("?", "unreadable", "", "")


def runs(
    root: Root = DEFAULT_ROOT,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The most runs to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the runs, newest first. A run id begins with the time of its drop, in UTC.

    Example:
      epydrop runs --limit 5
    """
    with stored_runs(root) as store:
        found = list(store.newest(limit))
    if as_json:
        print(json.dumps([_document(run) for run in found], indent=1))
        return
    if not found:
        print(f"There are no runs in {root}.")
        return
    from rich.console import Console  # noqa: PLC0415 - `--json` and an empty folder need no table
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for heading in ("RUN", "EXPERIMENT", "PHASE", "TASKS", "TOOK"):
        table.add_column(heading, no_wrap=heading != "EXPERIMENT", justify="right" if heading == "TASKS" else "left")
    for run in found:
        table.add_row(run.run_id, *(UNREADABLE if isinstance(run, Unreadable) else _cells(run)))
    Console(highlight=False).print(table)
    for run in found:
        if isinstance(run, Unreadable):
            print(f"{run.run_id} cannot be read: {run.error}", file=sys.stderr)


def _document(run: Run | Unreadable) -> dict[str, Any]:
    return {"run_id": run.run_id, "error": str(run.error)} if isinstance(run, Unreadable) else as_document(run)


def _cells(run: Run) -> tuple[str, str, str, str]:
    return run.exp_id, run.phase, _tasks(run), _took(run)


def _tasks(run: Run) -> str:
    return f"{done_of(run)}/{run.tasks}" if run.tasks is not None else "-"


def _took(run: Run) -> str:
    return "" if run.phase.is_open else str(run.updated - run.created).split(".")[0]
