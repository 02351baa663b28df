"""Why tasks and runs fail: each cause with its exit codes and what can be done about it, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from epydrop.core.jobs import TaskExit
from epydrop.errors import ExitCode


class Cause(StrEnum):
    """Why a task, or the whole run, failed."""

    PREEMPTED = "preempted"
    VM_LOST = "vm_lost"
    NEVER_RAN = "never_ran"
    UNAVAILABLE = "unavailable"
    OUT_OF_MEMORY = "out_of_memory"
    TIMED_OUT = "timed_out"
    BAD_INPUT = "bad_input"
    WIRING = "wiring"
    CODE = "code"
    STUCK = "stuck"
    DELETED = "deleted"

    @property
    def retry(self) -> Retrying:
        """Whether another attempt may succeed by itself."""
        return _CAUSES[self].retry

    @property
    def is_free(self) -> bool:
        """Whether an attempt lost only to this cause does not count against ``max_attempts``."""
        return _CAUSES[self].is_free

    @property
    def raises(self) -> str:
        """The size that a person's retry should raise: a key of the retry kick, or empty."""
        return _CAUSES[self].raises


class Retrying(Enum):
    """What another attempt needs in order to succeed."""

    NOTHING = "nothing"  # the same task may succeed as it is
    MORE_MEMORY = "more memory"
    A_CHANGE = "a change"  # by a person: of the input, the code or a limit


@dataclass(frozen=True)
class _CauseFacts:
    exit_codes: tuple[int, ...] = ()  # of a task's last try
    retry: Retrying = Retrying.A_CHANGE
    is_free: bool = False
    raises: str = ""


# One line per cause. Exit codes from 50000 are Batch's own (`jobs.TaskExit`, where `RETRIED_BY_BATCH` lists those that
# Batch retries within a job); the others are those of the stages (`errors.ExitCode`).
_CAUSES = {
    Cause.PREEMPTED: _CauseFacts((TaskExit.PREEMPTED,), Retrying.NOTHING, is_free=True),
    Cause.VM_LOST: _CauseFacts(
        (
            TaskExit.UNKNOWN,
            TaskExit.REPORTING_TIMEOUT,
            TaskExit.REBOOTED,
            TaskExit.UNRESPONSIVE,
            TaskExit.RECREATED,
        ),
        Retrying.NOTHING,
    ),
    Cause.NEVER_RAN: _CauseFacts(retry=Retrying.NOTHING, is_free=True),  # no exit code at all
    Cause.UNAVAILABLE: _CauseFacts((ExitCode.TRY_AGAIN,), Retrying.NOTHING),
    Cause.OUT_OF_MEMORY: _CauseFacts((ExitCode.OUT_OF_MEMORY,), Retrying.MORE_MEMORY, raises="memory_mib"),
    Cause.TIMED_OUT: _CauseFacts((TaskExit.TIMED_OUT,), raises="max_run_duration"),
    Cause.BAD_INPUT: _CauseFacts((ExitCode.BAD_INPUT,)),
    Cause.WIRING: _CauseFacts((ExitCode.WIRING,)),
    Cause.CODE: _CauseFacts(),  # every exit code that has no other cause
    Cause.STUCK: _CauseFacts(),
    Cause.DELETED: _CauseFacts(),
}

_BY_EXIT_CODE = {code: cause for cause, facts in _CAUSES.items() for code in facts.exit_codes}


def cause_of(exit_code: int | None) -> Cause:
    """The cause behind the exit code of a task's last try. A task without an exit code never ran."""
    return Cause.NEVER_RAN if exit_code is None else _BY_EXIT_CODE.get(exit_code, Cause.CODE)
