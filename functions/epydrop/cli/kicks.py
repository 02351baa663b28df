"""``epydrop cancel`` and ``epydrop retry``: the same kicks as in the cloud, and the work that follows from them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from epydrop.cli.follow import follow
from epydrop.cli.options import DEFAULT_ROOT, AsJson, Parallelism, Root, RunId
from epydrop.cli.outcome import find_run
from epydrop.errors import BadInput, Problem
from epydrop.names import Stage
from epydrop.ports import Stored
from epydrop.run import Phase, Run
from epydrop.wiring import existing_machine


def cancel(run: RunId, root: Root = DEFAULT_ROOT, as_json: AsJson = False) -> None:
    """End a run; what is finished stays.

    Example:
      epydrop cancel 20261122-231500-1a2b3c4d
    """
    with existing_machine(root) as machine:
        found = find_run(machine.runs, run)
        if not found.phase.is_open and not found.pending:
            raise BadInput(Problem(f"run {found.run_id} has ended already: {found.phase}"))
        machine.kick({"cancel": found.run_id})
        follow(machine, found.run_id, as_json=as_json)


def retry(
    run: RunId,
    root: Root = DEFAULT_ROOT,
    start: Annotated[
        Stage | None, typer.Option("--from", help="Compute again from this stage, instead of only what is missing.")
    ] = None,
    memory_mib: Annotated[int | None, typer.Option(min=1, help="MiB for each task of the stage that goes on.")] = None,
    max_run_duration: Annotated[int | None, typer.Option(min=1, help="Seconds for each of its tasks.")] = None,
    parallelism: Parallelism = None,
    as_json: AsJson = False,
) -> None:
    """Let a failed or cancelled run go on: only what is missing is computed.

    Examples:
      epydrop retry latest

      epydrop retry latest --memory-mib 8000

      epydrop retry latest --from runner
    """
    message: dict[str, Any] = {"from": start, "memory_mib": memory_mib, "max_run_duration": max_run_duration}
    with existing_machine(root, parallelism=parallelism) as machine:
        found = find_run(machine.runs, run)
        _refuse_needless(found, start)
        asked = {key: value for key, value in message.items() if value is not None}
        machine.kick({"retry": found.run_id, **asked})
        machine.work_on(found.run_id, lambda: _is_taken_up(machine.runs.load(found.run_id), found))
        follow(machine, found.run_id, as_json=as_json)


def _is_taken_up(stored: Stored | None, before: Run) -> bool:
    return stored is not None and stored.run.kicks != before.kicks


def _refuse_needless(run: Run, start: Stage | None) -> None:
    if run.phase.is_open:
        raise BadInput(Problem(f"run {run.run_id} is still at work: {run.phase}", hint="cancel it first"))
    if run.phase is Phase.REJECTED:
        raise BadInput(Problem(f"run {run.run_id} was rejected", hint="mend the file and run it again"))
    if run.phase is Phase.SUCCEEDED and not run.missing and start is None:
        raise BadInput(Problem(f"run {run.run_id} lacks nothing", hint="--from STAGE computes it again"))
