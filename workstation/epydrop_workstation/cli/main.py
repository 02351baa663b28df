"""The command itself: its subcommands, and the one place where errors become sentences and exit codes."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from epydrop.errors import BadInput, EpydropError
from epydrop_workstation.cli.batch_api import batch_api
from epydrop_workstation.cli.build import build
from epydrop_workstation.cli.commands import DryRun, accept_dry_run_before
from epydrop_workstation.cli.deploy import deploy
from epydrop_workstation.cli.doctor import doctor
from epydrop_workstation.cli.kicks import cancel, rerun_output, retry
from epydrop_workstation.cli.pack import pack
from epydrop_workstation.cli.run import run
from epydrop_workstation.cli.run_lookup import EXIT_CODES
from epydrop_workstation.cli.runs import runs
from epydrop_workstation.cli.show import show
from epydrop_workstation.cli.validate import validate

app = typer.Typer(
    name="epydrop",
    help="Epidemic experiments from file to forecast.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command in (run, validate, pack, runs, show, cancel, retry, rerun_output, doctor, batch_api):
    app.command()(command)
for group in (build, deploy):
    app.add_typer(group)
KNOW_DRY_RUN = ("run", "build", "deploy")


@app.callback()
def _epydrop(context: typer.Context, dry_run: DryRun = False) -> None:
    if dry_run and context.invoked_subcommand not in KNOW_DRY_RUN:
        raise typer.BadParameter(f"--dry-run belongs to {', '.join(KNOW_DRY_RUN)}")
    accept_dry_run_before(context, dry_run=dry_run)


def main() -> NoReturn:
    """Runs the command line. Errors that we raise on purpose end as a message on standard error."""
    try:
        app()
    except BadInput as error:
        for problem in error.problems:
            print(f"epydrop: {problem}", file=sys.stderr)
        sys.exit(error.exit_code)
    except EpydropError as error:
        print(f"epydrop: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(0)
