"""The exit codes of the command: what a script learns about a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `--help` prints the codes, and needs nothing of runs
    from epydrop.core.run import Run

PARTIAL = 3
INTERRUPTED = 130

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done without some results (as min_success allows), 4 cancelled, "
    "64 a folder or setting is missing, 65 the experiment is wrong, 75 try again later, 130 interrupted."
)


def exit_code_of(run: Run) -> int:
    """The exit code that tells a script how the run ended; 0 while it is open."""
    return PARTIAL if run.is_partial and not run.phase.is_open else run.phase.exit_code
