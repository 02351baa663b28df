"""``epydrop doctor``: check a deployment, and print the command that fixes each problem."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer
from rich.console import Console

from epydrop_workstation.cli.options import AsJson, Project, Region
from epydrop_workstation.deployment.doctor_checks import findings
from epydrop_workstation.deployment.gathered import Place, gather


def doctor(project: Project, region: Region, as_json: AsJson = False) -> None:
    """Check a deployment in Google Cloud; for each problem, print the one command that fixes it.

    Only reads. Ends with exit code 1 if there is a problem.

    Example:
      epydrop doctor --project my-project --region us-central1
    """
    place = Place(project, region)
    found = list(findings(place, gather(place)))
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], indent=1))
    else:
        console = Console(highlight=False)
        for finding in found:
            mark = "ok   " if finding.is_fine else "WRONG"
            console.print(f"{mark} {finding.check}: {finding.says}", markup=False, soft_wrap=True)
            if finding.remedy:
                console.print(f"      fix: {finding.remedy}", markup=False, soft_wrap=True)
    if not all(finding.is_fine for finding in found):
        raise typer.Exit(1)
