"""``epydrop pack``: what is dropped into the bucket, when that is more than one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from epydrop.errors import ConfigurationError
from epydrop_workstation.cli.options import Packable, Settings
from epydrop_workstation.packing import pack as packed


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
        raise ConfigurationError(f"{path} is already what can be dropped; --to writes it, with its settings, elsewhere")
    if path.is_dir() and target.resolve().is_relative_to(path.resolve()):
        raise ConfigurationError(f"{target} lies in the folder itself and would be packed the next time; give --to")
    try:
        target.write_bytes(data)
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be written: {error.strerror}") from error
    print(target)
