"""Fault injection: lost machines, jobs stuck in the queue, lost or repeated notifications.

Faults are written as WORD=VALUE pairs, because these fit a command line and a job's labels alike.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from batch_emulator.engine.jobs import MAX_TASKS, JobState, TaskExit

LABEL = "mischief-"  # the prefix of the labels that set faults for one job

WORDS = "preempt, lose-vm, exit-CODE, hold, drop, repeat, delay, seed, jobs"

_EXIT_CODES = {"preempt": TaskExit.PREEMPTED, "lose-vm": TaskExit.REPORTING_TIMEOUT}
_EXIT = re.compile(r"exit-([1-9]\d{0,4})")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")
_DURATION = re.compile(r"(\d+)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_HOLD = re.compile(r"(queued|scheduled)(?:-(\w+))?")


class InvalidFault(Exception):
    """Unknown fault, or an invalid value for one; ``word`` is the fault's name as it was given."""

    def __init__(self, word: str, message: str) -> None:
        super().__init__(message)
        self.word = word


@dataclass(frozen=True)
class TaskFaults:
    """Tasks to be killed: exit code to report -> position in the job -> in how many of the task's first tries.

    A task named under several exit codes goes through them in ascending order. The kill comes within ``within``
    seconds of the start, at a moment fixed by the seed, or when the process ends, whichever is first: a try
    that is to fail always fails, however quick the task.
    """

    exits: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    seed: int = 0
    within: float = 0.5

    def kill_of(self, job_id: str, position: int, retry: int) -> tuple[float, int] | None:
        """Seconds from the start of this try to its kill, and the exit code to report; None if it is spared."""
        faulty_tries = 0
        for exit_code, tries in sorted(self.exits.items()):
            faulty_tries += tries.get(position, 0)
            if retry < faulty_tries:
                # Seeded by the try itself, so that the moment does not depend on the order in which tasks start.
                chance = random.Random(f"{self.seed}/{job_id}/{position}/{retry}")  # noqa: S311 - not a secret
                return chance.random() * self.within, exit_code
        return None


@dataclass(frozen=True)
class DeliveryFaults:
    """What an at-least-once queue may do to messages, on purpose: the same for the same seed and the same calls.

    ``repeat`` and ``drop`` are probabilities; ``delay`` is the longest delay in seconds; ``reorder`` is for the
    reader of a queue, which then picks any of the messages that are due.
    """

    seed: int = 0
    repeat: float = 0.0
    delay: float = 0.0
    reorder: bool = False
    drop: float = 0.0


class FaultyDelivery:
    """Applies DeliveryFaults to one message after the other."""

    def __init__(self, faults: DeliveryFaults) -> None:
        self.faults = faults
        self.random = random.Random(faults.seed)  # noqa: S311 - not a secret

    def delays(self) -> list[float]:
        """Seconds of delay for each copy of the next message: none if it is lost, two if it is repeated."""
        if self._happens(self.faults.drop):
            return []
        copies = 2 if self._happens(self.faults.repeat) else 1
        return [self.random.random() * self.faults.delay for _ in range(copies)]

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self.random.random() < probability


@dataclass(frozen=True)
class Faults:
    """Everything that is to go wrong with the jobs of a server, or with one job.

    ``exits`` as in TaskFaults; ``hold`` is the state a job stays in, and for how many seconds (None: until it is
    cancelled); ``drop`` and ``repeat`` are probabilities, ``delay`` seconds. ``jobs`` limits a server's faults to
    jobs whose ids begin so.
    """

    exits: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    hold: tuple[JobState, float | None] | None = None
    drop: float = 0.0
    repeat: float = 0.0
    delay: float = 0.0
    seed: int = 0
    jobs: str = ""

    def of_job(self, job_id: str, labels: Mapping[str, str]) -> Faults:
        """The faults of one job: the server's, if they cover it, overridden by those in its labels."""
        return parse_faults(words_of(labels), self if job_id.startswith(self.jobs) else Faults(seed=self.seed))

    @property
    def of_tasks(self) -> TaskFaults:
        """The part that concerns tasks."""
        return TaskFaults(exits=self.exits, seed=self.seed)

    def of_delivery(self, job_id: str) -> DeliveryFaults:
        """The part that concerns notifications: the same for the same seed and job id."""
        # Not hash(): Python salts it, and the same seed has to mean the same faults in every process.
        seed = zlib.crc32(f"{self.seed}/{job_id}".encode())
        return DeliveryFaults(seed=seed, repeat=self.repeat, delay=self.delay, drop=self.drop)


def words_of(labels: Mapping[str, str]) -> dict[str, str]:
    """The faults among a job's labels, as ``parse_faults`` takes them."""
    return {key.removeprefix(LABEL): value for key, value in labels.items() if key.startswith(LABEL)}


def parse_faults(words: Mapping[str, str], base: Faults | None = None) -> Faults:
    """Faults from {WORD: VALUE}; each overrides what ``base`` says of it. Raises InvalidFault."""
    faults = base or Faults()
    for word, value in words.items():
        try:
            faults = _with(faults, word, value)
        except ValueError as error:
            raise InvalidFault(word, f"{value!r}: {error}") from error
    return faults


def _with(faults: Faults, word: str, value: str) -> Faults:
    exit_code = _exit_code(word)
    if exit_code is not None:
        return replace(faults, exits={**faults.exits, exit_code: dict(_tries(value))})
    match word:
        case "hold":
            return replace(faults, hold=_hold(value))
        case "drop":
            return replace(faults, drop=_probability(value))
        case "repeat":
            return replace(faults, repeat=_probability(value))
        case "delay":
            return replace(faults, delay=_seconds(value))
        case "seed":
            return replace(faults, seed=_whole_number(value))
        case "jobs":
            return replace(faults, jobs=value)
    raise InvalidFault(word, f"unknown fault; expected one of {WORDS}")


def _exit_code(word: str) -> int | None:
    found = _EXIT.fullmatch(word)
    return int(found[1]) if found else _EXIT_CODES.get(word)


def _tries(text: str) -> Iterator[tuple[int, int]]:
    """(position, tries) of each task: ``0-3_7x2`` names tasks 0 to 3 and 7, their first two tries each.

    Underscores instead of commas, because a label's value allows no commas.
    """
    indices, has_times, times = text.partition("x")
    if has_times and not times.isdigit():
        raise ValueError("expected a number of tries after the x, as in 0-3_7x2")
    for part in indices.split("_"):
        found = _RANGE.fullmatch(part)
        if found is None:
            raise ValueError("expected task indices, as in 5, 0-3 or 0-3_7x2")
        first, last = int(found[1]), int(found[2] or found[1])
        if last >= MAX_TASKS:
            raise ValueError(f"a job has at most {MAX_TASKS} tasks")
        for index in range(first, last + 1):
            yield index, int(times or 1)


def _hold(text: str) -> tuple[JobState, float | None]:
    found = _HOLD.fullmatch(text)
    if found is None:
        raise ValueError("expected queued or scheduled, optionally with a duration, as in queued-30s")
    return JobState(found[1].upper()), _seconds(found[2]) if found[2] else None


def _whole_number(text: str) -> int:
    if not text.isdigit():
        raise ValueError("expected a whole number")
    return int(text)


def _probability(text: str) -> float:
    """Percent, because a label's value allows no decimal point."""
    if not text.isdigit() or not 0 <= int(text) <= 100:
        raise ValueError("expected 0 to 100 percent")
    return int(text) / 100


def _seconds(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("expected a duration, as in 500ms, 30s, 5m or 2h")
    return int(found[1]) * _SECONDS[found[2]]
