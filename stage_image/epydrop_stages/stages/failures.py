"""An exception as plain values: what an error record stores, and what a worker process sends to its stage."""

from __future__ import annotations

from dataclasses import dataclass

from epydrop.errors import BadInput, EpydropError, ExitCode, chain_of, is_out_of_space
from epydrop.formats.stage_records import RecordedProblem, fingerprint_of, traceback_of


@dataclass(frozen=True)
class Failure:
    """Type, message and traceback of an exception. Unlike many exceptions it can be pickled between processes."""

    type: str
    message: str
    traceback: str
    fingerprint: str
    exit_code: ExitCode
    problems: tuple[RecordedProblem, ...] = ()

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an exception; one raised in a worker keeps the worker's description."""
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
    """A worker process raised an exception, described by ``failure``."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.type}: {failure.message}")
        self.failure = failure
        self.exit_code = failure.exit_code


def exit_code_of(error: BaseException) -> ExitCode:
    """The exit code for an exception. Follows the chain of causes, because libraries wrap the errors of the system."""
    if any(isinstance(part, MemoryError) for part in chain_of(error)):
        return ExitCode.OUT_OF_MEMORY
    if is_out_of_space(error):
        return ExitCode.TRY_AGAIN
    return error.exit_code if isinstance(error, EpydropError) else ExitCode.BUG
