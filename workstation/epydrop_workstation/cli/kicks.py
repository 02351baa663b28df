"""``epydrop cancel``, ``retry`` and ``rerun-output``: the kicks of the cloud, and the work that follows from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from epydrop.core.phases import Phase
from epydrop.core.run import Run
from epydrop.errors import BadInput, Problem
from epydrop.experiment import read_experiment
from epydrop.experiment.output_config import read_output_config
from epydrop.formats.names import RESOLVED_EXPERIMENT, Stage
from epydrop.service.ports import Stored
from epydrop.stores import open_store
from epydrop_workstation.cli.follow import follow
from epydrop_workstation.cli.options import DEFAULT_ROOT, AsJson, Parallelism, Root, RunId
from epydrop_workstation.cli.run_lookup import find_run
from epydrop_workstation.local.local_cloud import Machine
from epydrop_workstation.local.wiring import existing_machine


def cancel(run: RunId, root: Root = DEFAULT_ROOT, as_json: AsJson = False) -> None:
    """Cancel a run; finished results are kept.

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
    everything: Annotated[
        bool, typer.Option("--all", help="Compute everything again, from the builder on.", show_default=False)
    ] = False,
    memory_mib: Annotated[int | None, typer.Option(min=1, help="MiB for each task of the resumed stage.")] = None,
    max_run_duration: Annotated[int | None, typer.Option(min=1, help="Seconds for each try of its tasks.")] = None,
    parallelism: Parallelism = None,
    as_json: AsJson = False,
) -> None:
    """Resume a failed or cancelled run: only what is missing is computed.

    With --all or --from, earlier results stay in their folders, and the new outputs use none of them.

    Examples:
      epydrop retry latest

      epydrop retry latest --memory-mib 8000

      epydrop retry latest --from runner
    """
    if everything and start not in (None, Stage.BUILDER):
        raise typer.BadParameter("--all computes everything again, and --from only a part; give one of them")
    start = Stage.BUILDER if everything else start
    message: dict[str, Any] = {"from": start, "memory_mib": memory_mib, "max_run_duration": max_run_duration}
    with existing_machine(root, parallelism=parallelism) as machine:
        found = find_run(machine.runs, run)
        _refuse_complete(found, start)
        asked = {key: value for key, value in message.items() if value is not None}
        _kick_and_follow(machine, found, {"retry": found.run_id, **asked}, as_json=as_json)


def rerun_output(
    run: RunId,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Other outputs: a file with 'outputs:' as in an experiment."),
    ] = None,
    root: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> None:
    """Make another set of outputs from the results of a run, beside the first; nothing else is computed.

    The file of the suite epymodelingsuite has its own format, with the key 'output:'.

    Example:
      epydrop rerun-output latest --config more-quantiles.yaml
    """
    with existing_machine(root) as machine:
        found = find_run(machine.runs, run)
        _refuse_without_results(found)
        asked = _read_config(config, found) if config else {}
        _kick_and_follow(machine, found, {"output": found.run_id, "config": asked}, as_json=as_json)


def _read_config(file: Path, run: Run) -> dict[str, Any]:
    store = open_store(run.run_url)
    experiment = read_experiment(store.read(RESOLVED_EXPERIMENT), RESOLVED_EXPERIMENT, run.exp_id)
    try:
        text = file.read_bytes()
    except OSError as error:
        raise BadInput(Problem(f"cannot be read: {error.strerror}", str(file))) from error
    return read_output_config(text, str(file), experiment)


def _kick_and_follow(machine: Machine, run: Run, message: dict[str, Any], *, as_json: bool) -> None:
    machine.kick(message)
    machine.work_on(run.run_id, lambda: _is_taken_up(machine.runs.load(run.run_id), run))
    follow(machine, run.run_id, as_json=as_json)


def _is_taken_up(stored: Stored | None, before: Run) -> bool:
    return stored is not None and stored.run.kicks != before.kicks


def _refuse_complete(run: Run, start: Stage | None) -> None:
    _refuse_open_or_rejected(run)
    if run.phase is Phase.SUCCEEDED and not run.missing and start is None:
        raise BadInput(Problem(f"run {run.run_id} lacks no result", hint="--from STAGE computes it again"))


def _refuse_without_results(run: Run) -> None:
    _refuse_open_or_rejected(run)
    if run.current is None or run.current.stage is not Stage.OUTPUT:
        problem = f"run {run.run_id} has no results to make outputs from: it {run.phase} before"
        raise BadInput(Problem(problem, hint=f"epydrop retry {run.run_id} computes what is missing"))


def _refuse_open_or_rejected(run: Run) -> None:
    if run.phase.is_open:
        raise BadInput(Problem(f"run {run.run_id} is still running: {run.phase}", hint="cancel it first"))
    if run.phase is Phase.REJECTED:
        raise BadInput(Problem(f"run {run.run_id} was rejected", hint="fix the file and run it again"))
