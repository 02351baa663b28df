"""``epydrop validate``: every problem of every file, before anything is spent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from epydrop.cli.options import AsJson, Settings
from epydrop.cli.trial import trial_of
from epydrop.errors import BadInput, ExitCode
from epydrop.experiment.pack import pack


def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Experiments: .yaml, .yml or .zip.")],
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Check experiments, down to the model itself, without computing anything.

    Examples:
      epydrop validate flu.yaml

      epydrop validate weekly/*.yaml --json
    """
    verdicts = {str(file): _problems(file, settings or []) for file in files}
    if as_json:
        print(json.dumps({file: {"valid": not found, "problems": found} for file, found in verdicts.items()}, indent=1))
    else:
        for file, found in verdicts.items():
            print(f"{file}: {'valid' if not found else f'{len(found)} problem(s)'}")
            for problem in found:
                print(f"  {problem}", file=sys.stderr)
    if any(verdicts.values()):
        raise typer.Exit(ExitCode.BAD_INPUT)


def _problems(file: Path, settings: list[str]) -> list[str]:
    try:
        trial_of(*pack(file, settings))
    except BadInput as error:
        return [str(problem) for problem in error.problems]
    return []
