"""``epydrop pack``: an experiment of several files as the one file to drop into the bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from epydrop.errors import ConfigurationError
from epydrop_workstation.cli.options import Packable, Settings
from epydrop_workstation.packing import pack as packed


def pack(
    path: Packable,
    to: Annotated[Path, typer.Option("--to", metavar="PATH", help="The folder or the file to write to.")] = Path(),
    settings: Settings = None,
) -> None:
    """Pack an experiment and the files that it needs into the one file to drop into the bucket.

    Examples:
      epydrop pack weekly/

      epydrop pack flu.yaml --to /tmp --set tasks.chains=2
    """
    name, data = packed(path, settings or ())
    target = to / name if to.is_dir() else to
    if target.exists() and target.samefile(path):
        raise ConfigurationError(f"{path} can be dropped as it is; --to writes it, with its settings, to another place")
    if path.is_dir() and target.resolve().is_relative_to(path.resolve()):
        raise ConfigurationError(f"{target} is inside the packed folder, so the next pack would include it; give --to")
    try:
        target.write_bytes(data)
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be written: {error.strerror}") from error
    print(target)
