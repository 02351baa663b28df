"""``epydrop batch-api``: the emulator's own command, with epydrop's errors and exit codes."""

from __future__ import annotations

import functools
import os
from typing import Any

from batch_emulator.cli import MissingPackage, run_server, set_up_logs
from epydrop.errors import ConfigurationError
from epydrop_workstation.local.engine_errors import translated_errors


@functools.wraps(run_server)  # also gives typer the options
def batch_api(**options: Any) -> None:
    """Emulate Cloud Batch on this machine: tasks are local processes."""
    set_up_logs(debug=bool(os.environ.get("EPYDROP_DEBUG")))
    with translated_errors():
        try:
            run_server(**options)
        except MissingPackage as error:
            raise ConfigurationError(
                f"the package {error.package} is missing: this command needs the extra batch-api, "
                "for example by pip install 'epydrop[batch-api]'"
            ) from error


batch_api.__name__ = "batch_api"
batch_api.__doc__ = (run_server.__doc__ or "").replace("batch-emulator", "epydrop batch-api")
