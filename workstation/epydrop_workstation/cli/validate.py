"""``epydrop validate``: find every problem of experiment files, before a run costs anything."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from epydrop.errors import BadInput, ExitCode
from epydrop_workstation.cli.dry_run import build_plan
from epydrop_workstation.cli.options import AsJson, Settings
from epydrop_workstation.packing import pack


def validate(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Experiments: .yaml, .yml, .zip or folders with their files."),
    ],
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Check experiments, down to the model itself, without computing anything.

    Examples:
      epydrop validate flu.yaml

      epydrop validate weekly/*.yaml --json
    """
    verdicts = {str(path): _problems(path, settings or []) for path in paths}
    if as_json:
        print(json.dumps({path: {"valid": not found, "problems": found} for path, found in verdicts.items()}, indent=1))
    else:
        for path, found in verdicts.items():
            print(f"{path}: {'valid' if not found else f'{len(found)} problem(s)'}")
            for problem in found:
                print(f"  {problem}", file=sys.stderr)
    if any(verdicts.values()):
        raise typer.Exit(ExitCode.BAD_INPUT)


def _problems(path: Path, settings: list[str]) -> list[str]:
    try:
        build_plan(*pack(path, settings))
    except BadInput as error:
        return [str(problem) for problem in error.problems]
    return []
