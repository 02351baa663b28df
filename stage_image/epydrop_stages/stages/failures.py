"""An exception in plain values: what an error record keeps of it, and what a worker process tells of it.

Knows nothing of stores and records' names.
"""

from __future__ import annotations

from dataclasses import dataclass

from epydrop.errors import BadInput, EpydropError, ExitCode
from epydrop.formats.stage_records import RecordedProblem, fingerprint_of, traceback_of


@dataclass(frozen=True)
class Failure:
    """Type, words and place of an exception. It travels between processes, which an exception itself may not."""

    type: str
    message: str
    traceback: str
    fingerprint: str
    exit_code: ExitCode
    problems: tuple[RecordedProblem, ...] = ()

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """What is known of an exception; of one that a worker raised, what the worker knew."""
        if isinstance(error, FailedInWorker):
            return error.failure
        problems = error.problems if isinstance(error, BadInput) else ()
        return cls(
            type(error).__qualname__,
            str(error),
            traceback_of(error),
            fingerprint_of(error),
            exit_code_of(error),
            tuple(RecordedProblem(p.message, p.file, p.line, p.column, p.hint) for p in problems),
        )


class FailedInWorker(EpydropError):
    """A worker process raised something; ``failure`` says what and where."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.type}: {failure.message}")
        self.failure = failure
        self.exit_code = failure.exit_code


def exit_code_of(error: BaseException) -> ExitCode:
    """What an error means to whoever runs the tasks. A library may have wrapped the MemoryError in its own."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return ExitCode.OUT_OF_MEMORY
        cause = cause.__cause__
    return error.exit_code if isinstance(error, EpydropError) else ExitCode.BUG
