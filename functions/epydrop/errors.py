"""What can go wrong, sorted by what the caller does next: record it, or raise it for another delivery.

Every message says what, where, what was expected and what to do about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

KeyPath = tuple[str | int, ...]
"""Keys and list indices that lead from the top of a document to a value in it."""


class ExitCode(IntEnum):
    """How a stage process ends; the numbers are those of sysexits(3), and 137 is a kill for memory."""

    OK = 0
    BUG = 1
    WIRING = 64
    BAD_INPUT = 65
    TRY_AGAIN = 75
    OUT_OF_MEMORY = 137


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input, and where. ``line`` and ``column`` count from 1.

    ``path`` leads from the top of the experiment to the value; whoever holds the file turns it into a line and a column.
    """

    message: str
    file: str = ""
    line: int | None = None
    column: int | None = None
    hint: str = ""
    path: KeyPath = ()

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        sentence = f"{place}: {self.message}" if place else self.message
        return f"{sentence} ({self.hint})" if self.hint else sentence


class EpydropError(Exception):
    """Every error this project raises on purpose."""

    exit_code = ExitCode.BUG


class BadInput(EpydropError):
    """What a person gave us is wrong. Permanent: recorded, acknowledged, never tried again."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, *problems: Problem | str) -> None:
        if not problems:
            raise ValueError("BadInput needs at least one problem")
        self.problems = tuple(p if isinstance(p, Problem) else Problem(p) for p in problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigurationError(EpydropError):
    """A setting, variable, folder or permission that we need is missing. Permanent until somebody mends it."""

    exit_code = ExitCode.WIRING


class RetryableError(EpydropError):
    """Something outside did not answer in time. Raised, so that the event or the task is delivered again."""

    exit_code = ExitCode.TRY_AGAIN


class NotFound(EpydropError):
    """The object, run or job that was asked for does not exist."""


class PreconditionFailed(EpydropError):
    """A precondition failed: what we wanted to change has changed since we read it, or exists already."""


class IntegrityError(EpydropError):
    """A stored artifact is truncated, altered, unsigned, or belongs to another run, stage or index."""
