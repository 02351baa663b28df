"""Options that several subcommands share, each defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Root = Annotated[
    Path,
    typer.Option(
        "--root",
        envvar="EPYDROP_ROOT",
        metavar="DIR",
        help="The folder that holds the runs and their state.",
    ),
]
DEFAULT_ROOT = Path("epydrop-runs")

Packable = Annotated[
    Path, typer.Argument(metavar="PATH", help="An experiment: .yaml, .yml, a .zip bundle, or a folder with its files.")
]
Parallelism = Annotated[
    int | None,
    typer.Option("--parallelism", "-p", min=1, metavar="N", help="Tasks at a time; by default the number of cores."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a value, e.g. --set tasks.chains=2. Repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
RunId = Annotated[
    str, typer.Argument(metavar="RUN", help="A run id, the beginning of one, or 'latest'.", show_default=False)
]


def as_typed(run_id: str, root: Path) -> str:
    """How a command names the run and, if it is not the usual one, the root."""
    return run_id if root.absolute() == DEFAULT_ROOT.absolute() else f"{run_id} --root {root.absolute()}"


Project = Annotated[
    str,
    typer.Option(
        "--project", envvar="EPYDROP_PROJECT", metavar="PROJECT", help="The Google Cloud project.", show_default=False
    ),
]
Region = Annotated[
    str,
    typer.Option(
        "--region", envvar="EPYDROP_REGION", metavar="REGION", help="Its region, e.g. us-central1.", show_default=False
    ),
]
