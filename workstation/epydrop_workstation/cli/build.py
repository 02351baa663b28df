"""``epydrop build``: build the stage image, with Cloud Build or with docker on this machine."""

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
        help="Install epymodelingsuite at this full commit; without it, the image has only epydemix.",
    ),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Rebuild every layer.")]

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
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the build and print its log.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Build, test, scan and release the image with Cloud Build; `epydrop deploy apply` then deploys it.

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
    push: Annotated[bool, typer.Option("--push/--no-push", help="Push the image to the registry.")] = True,
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
    """Build epydrop-stage:dev with docker on this machine: it reads and writes folders, not buckets.

    Example:
      epydrop build dev --dry-run
    """
    root = checkout()
    command = _docker_build("local", "epydrop-stage:dev", root, suite_commit, no_cache=no_cache)
    carry_out([command], dry_run=dry_run, folder=root)


@build.command()
def status(
    project: Project,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The most builds to list.")] = 10,
    ongoing: Annotated[bool, typer.Option("--ongoing", help="Only queued and running builds.")] = False,
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
    """The docker command. A token in GITHUB_TOKEN is mounted as a secret: its value is in no argument and no layer."""
    secret = ("--secret", "id=github_token,env=GITHUB_TOKEN") if os.environ.get("GITHUB_TOKEN") else ()
    return (
        *("docker", "build", "--file", "stage_image/Dockerfile", "--target", target, "--tag", tag),
        *("--build-arg", f"COMMIT={commit_of(root)}", "--build-arg", f"SUITE_COMMIT={suite_commit}"),
        *(("--no-cache",) if no_cache else ()),
        *secret,
        ".",
    )


def commit_of(root: Path) -> str:
    """The checked-out commit, with '-changed' if files differ from it; 'unknown' outside a git repository."""
    git = ("git", "-C", str(root))
    try:
        commit = subprocess.run((*git, "rev-parse", "HEAD"), capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run((*git, "status", "--porcelain"), capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}-changed" if changed.strip() else commit
