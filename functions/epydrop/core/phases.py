"""The phases of a run, and everything that is known of a phase apart from the rows of the table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """The position of a run in its life. The first three are open and named for the stage at work."""

    BUILDER = "builder"
    RUNNER = "runner"
    OUTPUT = "output"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def is_open(self) -> bool:
        """Whether a stage of the run is at work."""
        return _PHASES[self].is_open

    @property
    def headline(self) -> str:
        """The word for the phase at the top of a reply."""
        return _PHASES[self].headline

    @property
    def exit_code(self) -> int:
        """The exit code of a command that followed the run into this phase; documented in docs/command.md."""
        return _PHASES[self].exit_code


@dataclass(frozen=True)
class _PhaseFacts:
    headline: str
    is_open: bool = False
    exit_code: int = 0


# One line per phase. A new phase also needs rows in `table.py` that lead there, and their transitions. An open phase is
# named for its stage, so a new open phase means a new stage.
_PHASES = {
    Phase.BUILDER: _PhaseFacts("accepted", is_open=True),
    Phase.RUNNER: _PhaseFacts("accepted", is_open=True),
    Phase.OUTPUT: _PhaseFacts("accepted", is_open=True),
    Phase.SUCCEEDED: _PhaseFacts("finished"),
    Phase.FAILED: _PhaseFacts("failed", exit_code=1),
    Phase.CANCELLED: _PhaseFacts("cancelled", exit_code=4),
    Phase.REJECTED: _PhaseFacts("rejected", exit_code=65),
}

OPEN = tuple(phase for phase in Phase if phase.is_open)
TERMINAL = tuple(phase for phase in Phase if not phase.is_open)
