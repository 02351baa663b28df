"""The exit codes of the command: what a script learns about a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from epydrop.errors import ExitCode

if TYPE_CHECKING:
    from epydrop.core.run import Run

FAILED = 1
PARTIAL = 3
CANCELLED = 4
INTERRUPTED = 130

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done without some results (as min_success allows), 4 cancelled, "
    "64 a folder or setting is missing, 65 the experiment is wrong, 75 try again later, 130 interrupted."
)


def exit_code_of(run: Run) -> int:
    """The exit code that tells a script how the run ended; 0 while it is open."""
    from epydrop.core.run import Phase  # noqa: PLC0415 - `--help` prints the codes, and needs no runs

    match run.phase:
        case Phase.SUCCEEDED:
            return PARTIAL if run.missing else 0
        case Phase.CANCELLED:
            return CANCELLED
        case Phase.REJECTED:
            return ExitCode.BAD_INPUT
        case Phase.FAILED:
            return FAILED
        case _:
            return 0
