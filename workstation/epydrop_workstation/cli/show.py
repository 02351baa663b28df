"""``epydrop show``: everything about one run."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from epydrop.core.run import Attempt, HistoryEntry, Run
from epydrop.formats.serialization import to_document
from epydrop_workstation.cli.options import DEFAULT_ROOT, AsJson, Root, RunId
from epydrop_workstation.cli.run_lookup import as_document, find_run, folder_of
from epydrop_workstation.cli.run_summary import print_summary
from epydrop_workstation.local.run_store import stored_runs


def show(run: RunId, root: Root = DEFAULT_ROOT, as_json: AsJson = False) -> None:
    """Show one run: its phase and why, its attempts, its history, its files.

    Example:
      epydrop show latest
    """
    with stored_runs(root) as store:
        found = find_run(store, run)
        history = list(store.history(found.run_id))
    if as_json:
        attempts = [to_document(attempt) for attempt in found.attempts]
        entries = [to_document(entry) for entry in history]
        print(json.dumps({**as_document(found), "attempts": attempts, "history": entries}, indent=1))
    else:
        _print(found, history, root)


def _print(run: Run, history: list[HistoryEntry], root: Path) -> None:
    console = Console(highlight=False)
    console.print(f"{run.exp_id}: run {run.run_id}", style="bold", markup=False)
    console.print(f"Folder: {folder_of(run)}", markup=False, soft_wrap=True)
    for attempt in run.attempts:
        console.print(_attempt_line(attempt), markup=False, soft_wrap=True)
    console.print("History:")
    for entry in history:
        console.print(_entry_line(entry), markup=False, soft_wrap=True)
    print_summary(run, root, console)


def _attempt_line(attempt: Attempt) -> str:
    counts = attempt.counts
    causes = ", ".join(f"{len(indices)} {cause}" for cause, indices in attempt.causes.items())
    size = attempt.orders.resources
    return (
        f"  {attempt.stage} {attempt.orders.attempt}: {str(attempt.state or 'not seen').lower()}, "
        f"{counts.succeeded}/{len(attempt.orders.indices)} done"
        + (f", {causes}" if causes else "")
        + f" ({size.cpu_milli / 1000:g} vCPU, {size.memory_mib} MiB)"
    )


def _entry_line(entry: HistoryEntry) -> str:
    return f"  {entry.at.astimezone():%H:%M:%S} {entry.phase}: {entry.reason}"
