"""``epydrop run``: an experiment from file to forecast on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Annotated

import typer

from epydrop.formats.serialization import UnknownFormat
from epydrop_workstation.cli.dry_run import DryRunPlan, build_plan, print_plan
from epydrop_workstation.cli.follow import follow
from epydrop_workstation.cli.options import DEFAULT_ROOT, AsJson, Packable, Parallelism, Root, Settings
from epydrop_workstation.local.local_cloud import Machine
from epydrop_workstation.local.wiring import local_machine
from epydrop_workstation.packing import pack


def run(
    path: Packable,
    root: Root = DEFAULT_ROOT,
    parallelism: Parallelism = None,
    settings: Settings = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and plan, but compute nothing.")] = False,
    new: Annotated[bool, typer.Option("--new", help="Start a new run instead of resuming an unfinished one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run an experiment from file to forecast on this machine.

    If it is killed at any moment, the same command resumes where it stopped.

    Examples:
      epydrop run flu.yaml

      epydrop run flu.yaml --set tasks.chains=2 --parallelism 4

      epydrop run flu.yaml --json | jq -r .report
    """
    name, data = pack(path, settings or ())
    if dry_run:
        _show_plan(build_plan(name, data), as_json=as_json)
        return
    with local_machine(root, parallelism=parallelism) as machine:
        follow(machine, _run_to_resume(machine, name, data, new=new), as_json=as_json)


def _run_to_resume(machine: Machine, name: str, data: bytes, *, new: bool) -> str:
    """The id of the newest unfinished run of the same content, else of a new one."""
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    try:
        unfinished = None if new else machine.runs.resumable(md5)
    except UnknownFormat as error:
        raise UnknownFormat(f"{error}; --new starts another run beside it") from error
    return unfinished.run_id if unfinished is not None else machine.drop(name, data)


def _show_plan(plan: DryRunPlan, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(plan.document, indent=1))
    else:
        print_plan(plan)
