"""The entry point of the command ``batch-emulator``, which is installed with or without what it needs."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command, or says which package is missing."""
    try:
        # Here, because cli declares its options by typer, which only the extra brings.
        from batch_emulator.cli import main as run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        sys.exit(f"batch-emulator: the package {error.name} is missing: pip install 'batch-emulator[api]'")
    run()
