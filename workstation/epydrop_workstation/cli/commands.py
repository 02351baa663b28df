"""Commands of other programs: each is printed exactly as it runs, so that people can run it themselves."""

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
    """Apply a ``--dry-run`` given before a subcommand to that subcommand, however deeply nested."""
    if dry_run:
        defaults: dict[str, Any] = {"dry_run": True}
        name = context.invoked_subcommand
        # A group among the subcommands passes the default on in its own callback.
        context.default_map = {**defaults, **({name: defaults} if name else {})}


def carry_out(commands: Iterable[Command], *, dry_run: bool, folder: Path | None = None) -> None:
    """Print and run each command in turn; exit with the exit code of the first that fails."""
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
        raise ConfigurationError(f"{command[0]} is not installed; this command needs it") from error


def answer_of(command: Command, data: str | None = None) -> str:
    """What a command prints; ``data`` is its standard input. Raises ConfigurationError with its standard error."""
    try:
        done = subprocess.run(command, input=data, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ConfigurationError(f"{command[0]} is not installed; this command needs it") from error
    if done.returncode:
        raise ConfigurationError(f"{command[0]} failed: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout


def checkout() -> Path:
    """The checkout that contains the current folder. Raises ConfigurationError outside of a checkout."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "cloudbuild.yaml").is_file() and (folder / "terraform" / "functions.tf").is_file():
            return folder
    raise ConfigurationError(
        f"{here} is not in a checkout of epydrop, which has the Terraform files and the Dockerfile"
    )
