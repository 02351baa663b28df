"""The command: its subcommands, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import sys
from typing import ClassVar, NoReturn

import typer

from epydrop.errors import BadInput, EpydropError, ExitCode, is_out_of_space
from epydrop_workstation.cli.commands import DryRun, accept_dry_run_before
from epydrop_workstation.cli.exit_codes import EXIT_CODES
from epydrop_workstation.cli.lazy_group import MARKUP, LazyGroup


class EpydropGroup(LazyGroup):
    """Every subcommand, and where it is defined."""

    lazy: ClassVar[dict[str, str]] = {
        "run": "run:run",
        "demo": "demo:demo",
        "validate": "validate:validate",
        "pack": "pack:pack",
        "runs": "runs:runs",
        "show": "show:show",
        "replay": "replay:replay",
        "cancel": "kicks:cancel",
        "retry": "kicks:retry",
        "rerun-output": "kicks:rerun_output",
        "doctor": "doctor:doctor",
        "batch-api": "batch_api:batch_api",
        "build": "build:build",
        "deploy": "deploy:deploy",
    }


app = typer.Typer(
    name="epydrop",
    cls=EpydropGroup,
    help="Epidemic experiments from file to forecast.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=MARKUP,
)
KNOW_DRY_RUN = ("run", "build", "deploy")


@app.callback()
def _epydrop(context: typer.Context, dry_run: DryRun = False) -> None:
    if dry_run and context.invoked_subcommand not in KNOW_DRY_RUN:
        raise typer.BadParameter(f"--dry-run belongs to {', '.join(KNOW_DRY_RUN)}")
    accept_dry_run_before(context, dry_run=dry_run)


def main() -> NoReturn:
    """Run the command line. Errors that are raised on purpose become a message on standard error and an exit code."""
    try:
        app()
    except (EpydropError, OSError) as error:
        if is_out_of_space(error):
            print(f"epydrop: {error}; free some space, and run the same command again", file=sys.stderr)
            sys.exit(ExitCode.TRY_AGAIN)
        if not isinstance(error, EpydropError):
            raise
        for problem in error.problems if isinstance(error, BadInput) else [error]:
            print(f"epydrop: {problem}", file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(0)
