"""``epydrop build``: the stage image, by Cloud Build or by docker on this machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from epydrop_workstation.cli.commands import Command, DryRun, accept_dry_run_before, carry_out, checkout
from epydrop_workstation.cli.options import Project, Region

SuiteCommit = Annotated[
    str,
    typer.Option(
        "--suite-commit",
        envvar="EPYDROP_SUITE_COMMIT",
        metavar="SHA",
        help="Builds epymodelingsuite in, at this full commit; without, the image has only epydemix.",
    ),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Build every layer anew.")]

build = typer.Typer(name="build", help="Build the image that the stages run in.", no_args_is_help=True)


@build.callback()
def _build(context: typer.Context, dry_run: DryRun = False) -> None:
    accept_dry_run_before(context, dry_run=dry_run)


@build.command()
def cloud(
    project: Project,
    region: Region,
    suite_commit: SuiteCommit = "",
    github_token: Annotated[
        bool, typer.Option("--github-token", help="Read the secret epydrop-github-token: the suite is private.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the build to its end.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Let Cloud Build build, test, scan and release the image; `epydrop deploy apply` then deploys it.

    Example:
      epydrop build cloud --project my-project --region us-central1
    """
    root = checkout()
    values = {
        "_REGION": region,
        "_COMMIT": commit_of(root),
        "_SUITE_COMMIT": suite_commit,
        "_GITHUB_TOKEN": str(github_token).lower(),
    }
    command = (
        *("gcloud", "builds", "submit", "--project", project, "--config", "cloudbuild.yaml"),
        *("--gcs-source-staging-dir", f"gs://epydrop-source-{project}/build"),
        *("--substitutions", ",".join(f"{name}={value}" for name, value in values.items())),
        *(() if wait else ("--async",)),
        ".",
    )
    carry_out([command], dry_run=dry_run, folder=root)


@build.command()
def local(
    project: Project,
    region: Region,
    suite_commit: SuiteCommit = "",
    no_cache: NoCache = False,
    push: Annotated[bool, typer.Option("--push/--no-push", help="Whether to push it to the deployment.")] = True,
    dry_run: DryRun = False,
) -> None:
    """Build the image with docker on this machine and push it; an experiment names its digest under run.image.

    Example:
      epydrop build local --project my-project --region us-central1 --dry-run
    """
    root = checkout()
    tag = f"{region}-docker.pkg.dev/{project}/epydrop/stage:local-{commit_of(root)}"
    commands = [_docker_build("cloud", tag, root, suite_commit, no_cache=no_cache)]
    if push:
        commands.append(("docker", "push", tag))
    carry_out(commands, dry_run=dry_run, folder=root)


@build.command()
def dev(suite_commit: SuiteCommit = "", no_cache: NoCache = False, dry_run: DryRun = False) -> None:
    """Build the image for folders only, as epydrop-stage:dev, with docker on this machine.

    Example:
      epydrop build dev --dry-run
    """
    root = checkout()
    command = _docker_build("local", "epydrop-stage:dev", root, suite_commit, no_cache=no_cache)
    carry_out([command], dry_run=dry_run, folder=root)


@build.command()
def status(
    project: Project,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 10,
    ongoing: Annotated[bool, typer.Option("--ongoing", help="Only those that are queued or at work.")] = False,
    dry_run: DryRun = False,
) -> None:
    """List Cloud Build's builds of the image, newest first.

    Example:
      epydrop build status --ongoing
    """
    only = ("--ongoing",) if ongoing else ()
    command = (
        "gcloud",
        "builds",
        "list",
        "--project",
        project,
        "--filter=tags=epydrop-stage",
        f"--limit={limit}",
        *only,
    )
    carry_out([command], dry_run=dry_run)


def _docker_build(target: str, tag: str, root: Path, suite_commit: str, *, no_cache: bool) -> Command:
    """A token in GITHUB_TOKEN is mounted for the one step that fetches the suite; its value is not in the command."""
    secret = ("--secret", "id=github_token,env=GITHUB_TOKEN") if os.environ.get("GITHUB_TOKEN") else ()
    return (
        *("docker", "build", "--file", "stage_image/Dockerfile", "--target", target, "--tag", tag),
        *("--build-arg", f"COMMIT={commit_of(root)}", "--build-arg", f"SUITE_COMMIT={suite_commit}"),
        *(("--no-cache",) if no_cache else ()),
        *secret,
        ".",
    )


def commit_of(root: Path) -> str:
    """The commit that is checked out, marked when files differ from it; 'unknown' for a folder without git."""
    git = ("git", "-C", str(root))
    try:
        commit = subprocess.run((*git, "rev-parse", "HEAD"), capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run((*git, "status", "--porcelain"), capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}-changed" if changed.strip() else commit
