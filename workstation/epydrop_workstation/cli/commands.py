"""Other programs' commands: shown exactly as they would run, or run and shown.

The wrappers around gcloud, docker and terraform hold no knowledge that these commands do not show.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from epydrop.errors import ConfigurationError

Command = tuple[str, ...]

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the commands that would run, and run nothing.")]


def accept_dry_run_before(context: typer.Context, *, dry_run: bool) -> None:
    """Hands a ``--dry-run`` that stands before a subcommand on to it, however deep."""
    if dry_run:
        context.default_map = _with_dry_run(context.command)


def _with_dry_run(command: Any) -> dict[str, Any]:
    """For a command or a group of them; typer brings a click of its own, whose types have no public name."""
    below = getattr(command, "commands", {})
    return {"dry_run": True, **{name: _with_dry_run(each) for name, each in below.items()}}


def carry_out(commands: Iterable[Command], *, dry_run: bool, folder: Path | None = None) -> None:
    """Runs one command after the other, each shown first; stops with the exit code of one that fails."""
    for command in commands:
        if dry_run:
            print(shlex.join(command))
            continue
        print(f"+ {shlex.join(command)}", file=sys.stderr)
        code = _run(command, folder)
        if code:
            raise typer.Exit(code)


def _run(command: Command, folder: Path | None) -> int:
    try:
        return subprocess.run(command, cwd=folder, check=False).returncode
    except FileNotFoundError as error:
        raise ConfigurationError(f"{command[0]} is not installed here; this command needs it") from error


def answer_of(command: Command, data: str | None = None) -> str:
    """What a command prints; ``data`` goes to its standard input. Raises ConfigurationError with its last words."""
    try:
        done = subprocess.run(command, input=data, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ConfigurationError(f"{command[0]} is not installed here; this command needs it") from error
    if done.returncode:
        raise ConfigurationError(f"{command[0]} failed: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout


def checkout() -> Path:
    """The folder of the checkout that we are in, for terraform and docker. Raises ConfigurationError outside of one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "cloudbuild.yaml").is_file() and (folder / "terraform" / "functions.tf").is_file():
            return folder
    raise ConfigurationError(
        f"{here} is not in a checkout of epydrop, which has the Terraform files and the Dockerfile"
    )
