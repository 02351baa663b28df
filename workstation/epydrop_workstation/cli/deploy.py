"""``epydrop deploy``: terraform with the arguments of a deployment, and the signing key.

The key does not go through terraform, whose state would hold it in plain text.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from epydrop_workstation.cli.commands import Command, DryRun, accept_dry_run_before, answer_of, carry_out, checkout
from epydrop_workstation.cli.options import Project, Region

SIGNING_KEY = "epydrop-signing-key"

StateBucket = Annotated[
    str,
    typer.Option(
        "--state-bucket",
        envvar="EPYDROP_STATE_BUCKET",
        metavar="BUCKET",
        help="The bucket of terraform's state; by default epydrop-state-PROJECT.",
    ),
]
VarFile = Annotated[
    Path | None,
    typer.Option("--var-file", envvar="EPYDROP_VAR_FILE", metavar="FILE", help="A file with more variables."),
]
Words = Annotated[list[str] | None, typer.Argument(metavar="[-- TERRAFORM_ARGUMENTS]", help="Passed on to terraform.")]

deploy = typer.Typer(name="deploy", help="Create, change and remove a deployment in the cloud.", no_args_is_help=True)


@deploy.callback()
def _deploy(context: typer.Context, dry_run: DryRun = False) -> None:
    accept_dry_run_before(context, dry_run=dry_run)


@deploy.command()
def plan(
    project: Project,
    region: Region,
    state_bucket: StateBucket = "",
    var_file: VarFile = None,
    words: Words = None,
    dry_run: DryRun = False,
) -> None:
    """Show what an apply would change.

    Example:
      epydrop deploy plan --project my-project --region us-central1
    """
    variables = _variables(project, region, var_file)
    _terraform(project, state_bucket, ("plan", "-input=false", *variables, *(words or ())), dry_run=dry_run)


@deploy.command()
def apply(
    project: Project,
    region: Region,
    state_bucket: StateBucket = "",
    var_file: VarFile = None,
    words: Words = None,
    dry_run: DryRun = False,
) -> None:
    """Create or update the deployment; terraform asks for confirmation first.

    Examples:
      epydrop deploy apply --project my-project --region us-central1

      epydrop deploy apply --var-file production.tfvars -- -auto-approve
    """
    variables = _variables(project, region, var_file)
    _terraform(project, state_bucket, ("apply", *variables, *(words or ())), dry_run=dry_run)


@deploy.command()
def destroy(
    project: Project,
    region: Region,
    state_bucket: StateBucket = "",
    var_file: VarFile = None,
    words: Words = None,
    dry_run: DryRun = False,
) -> None:
    """Remove the deployment; refused while deletion_protection is on. Terraform asks for confirmation first.

    Example:
      epydrop deploy destroy --project my-project --region us-central1
    """
    variables = _variables(project, region, var_file)
    _terraform(project, state_bucket, ("destroy", *variables, *(words or ())), dry_run=dry_run)


@deploy.command()
def output(
    project: Project,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One output; by default all.")] = None,
    state_bucket: StateBucket = "",
    dry_run: DryRun = False,
) -> None:
    """Print the names of a deployment's buckets, topics and image.

    Example:
      epydrop deploy output drop_into
    """
    _terraform(project, state_bucket, ("output", *(("-raw", name) if name else ())), dry_run=dry_run)


Revoke = Annotated[
    bool, typer.Option("--revoke-older", help="After a leak: what older keys signed is refused from now on.")
]


@deploy.command()
def key(project: Project, revoke_older: Revoke = False, dry_run: DryRun = False) -> None:
    """Create the key that signs artifacts, or a newer one; older keys stay, to verify older artifacts.

    The keys are passed through pipes: they appear in no argument, no file and no terraform state.

    Examples:
      epydrop deploy key --project my-project

      epydrop deploy key --revoke-older
    """
    at = (SIGNING_KEY, "--project", project)
    listing = (
        "gcloud",
        "secrets",
        "versions",
        "list",
        *at,
        "--filter=state=ENABLED",
        "--limit=1",
        "--format=value(name)",
    )
    reading = ("gcloud", "secrets", "versions", "access", "latest", "--secret", *at)
    adding = ("gcloud", "secrets", "versions", "add", *at, "--data-file=-")
    if dry_run:
        carry_out((adding,) if revoke_older else (listing, reading, adding), dry_run=True)
        return
    known = json.loads(answer_of(reading)) if not revoke_older and answer_of(listing).strip() else {}
    fresh = {f"{datetime.now(UTC):%Y%m%d-%H%M%S}": secrets.token_hex(32)}
    answer_of(adding, json.dumps({**known, **fresh}))
    print(f"{SIGNING_KEY} has {len(known) + 1} key(s); new artifacts are signed with {next(iter(fresh))}.")
    if revoke_older:
        print("What older keys signed is refused from now on: retry unfinished runs from the builder.")


def _variables(project: str, region: str, var_file: Path | None) -> Command:
    more = (f"-var-file={var_file.absolute()}",) if var_file else ()
    return (f"-var=project_id={project}", f"-var=region={region}", *more)


def _terraform(project: str, state_bucket: str, words: Command, *, dry_run: bool) -> None:
    """Runs terraform after an init with this deployment's state: the folder may have been used for another."""
    terraform = ("terraform", "-chdir=terraform")
    bucket = state_bucket or f"epydrop-state-{project}"
    init = (
        "init",
        "-input=false",
        "-reconfigure",
        f"-backend-config=bucket={bucket}",
        "-backend-config=prefix=epydrop",
    )
    carry_out([(*terraform, *init), (*terraform, *words)], dry_run=dry_run, folder=checkout())
