"""``epydrop pack``: what is dropped into the bucket, when that is more than one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from epydrop.cli.options import Packable, Settings
from epydrop.errors import WiredWrongly
from epydrop.experiment.pack import pack as packed


def pack(
    path: Packable,
    to: Annotated[Path, typer.Option("--to", metavar="PATH", help="A folder, or the file to write.")] = Path(),
    settings: Settings = None,
) -> None:
    """Make the one file to drop into the bucket of an experiment and the files that it needs.

    Examples:
      epydrop pack weekly/

      epydrop pack flu.yaml --to /tmp --set tasks.chains=2
    """
    name, data = packed(path, settings or ())
    target = to / name if to.is_dir() else to
    if target.exists() and target.samefile(path):
        raise WiredWrongly(f"{path} is already what can be dropped; --to writes it, with its settings, elsewhere")
    target.write_bytes(data)
    print(target)
