"""``epydrop show``: all that is known of one run."""

from __future__ import annotations

import json

from rich.console import Console

from epydrop.core.run import Attempt, HistoryEntry, Run
from epydrop.formats.serialization import to_document
from epydrop_workstation.cli.follow import tell_end
from epydrop_workstation.cli.options import DEFAULT_ROOT, AsJson, Root, RunId
from epydrop_workstation.cli.run_lookup import as_document, find_run, folder_of
from epydrop_workstation.local.local_cloud import Machine
from epydrop_workstation.local.wiring import existing_machine


def show(run: RunId, root: Root = DEFAULT_ROOT, as_json: AsJson = False) -> None:
    """Show one run: where it is and why, its attempts, its history, its files.

    Example:
      epydrop show latest
    """
    with existing_machine(root) as machine:
        found = find_run(machine.runs, run)
        history = list(machine.runs.history(found.run_id))
        if as_json:
            attempts = [to_document(attempt) for attempt in found.attempts]
            entries = [to_document(entry) for entry in history]
            print(json.dumps({**as_document(found), "attempts": attempts, "history": entries}, indent=1))
        else:
            _tell(found, history, machine)


def _tell(run: Run, history: list[HistoryEntry], machine: Machine) -> None:
    console = Console(highlight=False)
    console.print(f"{run.exp_id}: run {run.run_id}", style="bold", markup=False)
    console.print(f"Folder: {folder_of(run)}", markup=False, soft_wrap=True)
    for attempt in run.attempts:
        console.print(_attempt_line(attempt), markup=False, soft_wrap=True)
    console.print("History:")
    for entry in history:
        console.print(_entry_line(entry), markup=False, soft_wrap=True)
    tell_end(run, machine, console)


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
