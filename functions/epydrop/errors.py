"""The errors that we raise, by what the caller does next: record a permanent one, raise a retryable one again.

Every message says what is wrong, where, what was expected and what to do about it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

KeyPath = tuple[str | int, ...]
"""Keys and list indices that lead from the top of a document to a value in it."""


class ExitCode(IntEnum):
    """Exit codes of a stage process: those of sysexits(3), and 137 (128 + SIGKILL) for out of memory."""

    OK = 0
    BUG = 1
    WIRING = 64
    BAD_INPUT = 65
    TRY_AGAIN = 75
    OUT_OF_MEMORY = 137


@dataclass(frozen=True)
class Problem:
    """One mistake in an input, and its position. ``line`` and ``column`` count from 1.

    ``path`` leads from the top of the experiment to the value; ``experiment.text.source.located`` turns it into a line
    and a column of the file.
    """

    message: str
    file: str = ""
    line: int | None = None
    column: int | None = None
    hint: str = ""
    path: KeyPath = ()

    def __str__(self) -> str:
        position = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        sentence = f"{position}: {self.message}" if position else self.message
        return f"{sentence} ({self.hint})" if self.hint else sentence


class EpydropError(Exception):
    """Base class of the errors that this project raises on purpose; every other exception is a bug."""

    exit_code = ExitCode.BUG


class BadInput(EpydropError):
    """An input of the user is wrong. Permanent: recorded and acknowledged, never retried."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, *problems: Problem | str) -> None:
        if not problems:
            raise ValueError("BadInput needs at least one problem")
        self.problems = tuple(p if isinstance(p, Problem) else Problem(p) for p in problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigurationError(EpydropError):
    """A setting, variable, folder or permission is missing or wrong. Permanent until someone fixes the deployment."""

    exit_code = ExitCode.WIRING


class RetryableError(EpydropError):
    """Something outside did not answer in time. Raised so that the event is redelivered or the task retried."""

    exit_code = ExitCode.TRY_AGAIN


class NotFound(EpydropError):
    """The requested object, run or job does not exist."""


class PreconditionFailed(EpydropError):
    """What we wanted to change has changed since we read it, or what we wanted to create exists already."""


class IntegrityError(EpydropError):
    """A stored artifact is truncated, altered or unsigned, or was made for another place."""


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from or while handling, and so on: libraries wrap the errors of the system."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def is_out_of_space(error: BaseException) -> bool:
    """Whether the error comes of a full disk or an exceeded quota: the same call succeeds once space is free."""
    return any(
        (isinstance(part, OSError) and part.errno in _NO_SPACE)
        or getattr(part, "sqlite_errorname", "") == "SQLITE_FULL"
        for part in chain_of(error)
    )


_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
