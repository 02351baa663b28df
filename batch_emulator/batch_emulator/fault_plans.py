"""Trouble on demand, in words that fit a command line and a label alike: lost machines, a full queue, a bad post."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from batch_emulator.engine.faults import Trouble
from epydrop.core.jobs import JobState, TaskExit
from epydrop.formats.names import MAX_TASKS
from epydrop_workstation.local import event_queue

LABEL = "mischief-"  # a job's label of this beginning is a word for that job alone

_STRIKES = {"preempt": TaskExit.PREEMPTED, "lose-vm": TaskExit.REPORTING_TIMEOUT}
_EXIT = re.compile(r"exit-([1-9]\d{0,4})")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")
_DURATION = re.compile(r"(\d+)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_HOLD = re.compile(r"(queued|scheduled)(?:-(\w+))?")

WORDS = "preempt, lose-vm, exit-CODE, hold, drop, repeat, delay, seed, jobs"


class UnknownMischief(Exception):
    """A word that is none, or a value that it cannot have; says which."""

    def __init__(self, word: str, message: str) -> None:
        super().__init__(message)
        self.word = word


@dataclass(frozen=True)
class Mischief:
    """What is to go wrong. Tries by exit code and task index; probabilities; seconds."""

    strikes: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    hold: tuple[JobState, float | None] | None = None
    drop: float = 0.0
    repeat: float = 0.0
    delay: float = 0.0
    seed: int = 0
    jobs: str = ""

    def of_job(self, job_id: str, labels: Mapping[str, str]) -> Mischief:
        """What holds for one job: what was said at the start if it is meant, then what its own labels say."""
        own = {key.removeprefix(LABEL): value for key, value in labels.items() if key.startswith(LABEL)}
        return mischief_of(own, self if job_id.startswith(self.jobs) else Mischief(seed=self.seed))

    @property
    def trouble(self) -> Trouble:
        """What happens to the tasks."""
        return Trouble(exits=self.strikes, seed=self.seed)

    def post(self, job_id: str) -> event_queue.Mischief:
        """What happens to the notifications: the same for the same seed and job id."""
        seed = zlib.crc32(f"{self.seed}/{job_id}".encode())
        return event_queue.Mischief(
            seed=seed, repeat=self.repeat, delay=self.delay, reorder=self.delay > 0, drop=self.drop
        )


def mischief_of(words: Mapping[str, str], base: Mischief | None = None) -> Mischief:
    """Reads the words, each over what ``base`` says. Raises UnknownMischief."""
    found = base or Mischief()
    for word, value in words.items():
        try:
            found = _with(found, word, value)
        except ValueError as error:
            raise UnknownMischief(word, f"{value!r}: {error}") from error
    return found


def _with(mischief: Mischief, word: str, value: str) -> Mischief:
    exit_code = _exit_code(word)
    if exit_code is not None:
        return replace(mischief, strikes={**mischief.strikes, exit_code: dict(_tries(value))})
    match word:
        case "hold":
            return replace(mischief, hold=_hold(value))
        case "drop":
            return replace(mischief, drop=_probability(value))
        case "repeat":
            return replace(mischief, repeat=_probability(value))
        case "delay":
            return replace(mischief, delay=_seconds(value))
        case "seed":
            return replace(mischief, seed=_whole(value))
        case "jobs":
            return replace(mischief, jobs=value)
    raise UnknownMischief(word, f"is no mischief; expected one of {WORDS}")


def _exit_code(word: str) -> int | None:
    found = _EXIT.fullmatch(word)
    return int(found[1]) if found else _STRIKES.get(word)


def _tries(text: str) -> Iterator[tuple[int, int]]:
    """``0-3_7x2``: tasks 0 to 3 and 7, their first two tries each."""
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
        raise ValueError("expected queued, scheduled, or either for some time, as in queued-30s")
    return JobState(found[1].upper()), _seconds(found[2]) if found[2] else None


def _whole(text: str) -> int:
    if not text.isdigit():
        raise ValueError("expected a whole number")
    return int(text)


def _probability(text: str) -> float:
    if not text.isdigit() or not 0 <= int(text) <= 100:
        raise ValueError("expected 0 to 100 percent")
    return int(text) / 100


def _seconds(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("expected a time, as in 500ms, 30s, 5m or 2h")
    return int(found[1]) * _SECONDS[found[2]]
