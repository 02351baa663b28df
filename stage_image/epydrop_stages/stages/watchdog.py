"""The watchdog of a task: ends a task that makes no progress, after saying where it stood, so that it is tried again.

A task is silent while it gives no heartbeat, no byte passes its store, and it and all processes that it started use
almost no CPU time. All three together: a task that computes for hours without a word is healthy, and so is one that
waits and says so.
"""

from __future__ import annotations

import contextvars
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from traceback import FrameSummary
from typing import IO

import psutil

from epydrop.errors import ExitCode, RetryableError
from epydrop.formats.stage_records import fingerprint, shortened
from epydrop_stages.artifacts.usage import Usage, cpu_seconds
from epydrop_stages.contract.heartbeat import pulse
from epydrop_stages.stages.failures import Failure
from epydrop_stages.stages.stacks import late_dump, main_stack, own_stacks, stacks_of_workers, workers_answer

_LOOKS = 10  # at least, in the time that a task may be silent
_LONGEST_PAUSE = 30.0  # seconds between two looks; one takes milliseconds
_IDLE = 0.001  # of one core: a hanging task uses less, even if some thread of it wakes up ten times a second
_TICKS = 0.02  # seconds; systems count the processor time of other processes in steps of 10 ms
_LAST_WORDS = 60.0  # seconds for log and record; what hangs may be the store, or the log


class NoProgress(RetryableError):
    """The task showed no sign of life for ``run.max_silence``."""


@dataclass(frozen=True)
class Signs:
    """What a task shows of life: the CPU seconds of all its processes, and counters of beats and bytes."""

    cpu: float = 0.0
    counters: tuple[int, ...] = ()

    @classmethod
    def of(cls, usage: Usage) -> Signs:
        """Those of this process and its descendants, those that ended included, but not of the calling thread."""
        cpu = cpu_seconds() - time.thread_time()
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                times = process.cpu_times()
                cpu += times.user + times.system + times.children_user + times.children_system
        return cls(cpu, (pulse.beats, usage.bytes_in, usage.bytes_out))


@dataclass
class Silence:
    """How long a task has been silent. ``limit``: seconds that it may be; ``pause``: seconds between two looks."""

    limit: float
    pause: float
    alive: Signs = Signs()  # when it last was not silent
    newest: Signs = Signs()
    seconds: float = 0.0

    def look(self, elapsed: float, signs: Signs) -> None:
        """Take note of the signs, ``elapsed`` seconds after the last ones.

        A look that comes late counts as one in time: the watchdog itself did not run, as when the machine sleeps.
        """
        self.newest = signs
        is_idle = 0 <= self.cpu < max(_TICKS, _IDLE * self.limit)  # less than before: a process has ended
        if is_idle and signs.counters == self.alive.counters:
            self.seconds += min(elapsed, 2 * self.pause)
        else:
            self.alive, self.seconds = signs, 0.0

    @property
    def cpu(self) -> float:
        """CPU seconds during the silence."""
        return self.newest.cpu - self.alive.cpu

    @property
    def is_over(self) -> bool:
        """Whether the task was silent for too long."""
        return self.seconds >= self.limit


@contextmanager
def watched(limit: float, usage: Usage, record: Callable[[Failure], None]) -> Iterator[None]:
    """Watch the task while the block runs; 0 means not to. ``usage`` counts the bytes of its store.

    A task that is silent for ``limit`` seconds gets ``record`` called and its process ended with TRY_AGAIN.
    """
    if not limit:
        yield
        return
    with workers_answer() as answers:
        watchdog = _Watchdog(limit, usage, record, answers)
        watchdog.start()
        try:
            yield
        finally:
            watchdog.stop()


class _Watchdog:
    """A thread of the task itself: in every world there is one, and no process more. See ``stacks`` for its limits."""

    def __init__(self, limit: float, usage: Usage, record: Callable[[Failure], None], answers: IO[bytes]) -> None:
        self._usage = usage
        self._record = record
        self._answers = answers
        self._silence = Silence(limit, min(limit / _LOOKS, _LONGEST_PAUSE))
        self._over = threading.Event()
        self._context = contextvars.copy_context()  # the labels of the log
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start to watch."""
        pulse.doing = ""
        self._set_late_dump()
        self._thread.start()

    def stop(self) -> None:
        """Stop to watch. Does not return if the task has just been found silent: one verdict is enough."""
        self._over.set()
        self._thread.join()
        late_dump.cancel()

    def _watch(self) -> None:
        then = time.monotonic()
        while not self._over.wait(self._silence.pause):
            now = time.monotonic()
            self._look(now - then)
            if self._silence.is_over:
                self._end()
            then = now

    def _look(self, elapsed: float) -> None:
        self._set_late_dump()
        self._silence.look(elapsed, Signs.of(self._usage))

    def _set_late_dump(self) -> None:
        late_dump.set(self._silence.limit + 2 * self._silence.pause)

    def _end(self) -> None:
        """End the process, whatever becomes of its last words: saying them may hang like the task."""
        try:
            words = threading.Thread(target=self._context.run, args=(self._say,), name="last words", daemon=True)
            words.start()
            words.join(_LAST_WORDS)
            for process in psutil.Process().children(recursive=True):  # a worker that hangs would not miss its stage
                with suppress(psutil.Error):
                    process.kill()
        finally:
            os._exit(ExitCode.TRY_AGAIN)

    def _say(self) -> None:
        stack = main_stack()
        message = self._message(stack)
        threads = own_stacks(but=(self._thread, threading.current_thread()))
        self._record(
            Failure(
                NoProgress.__name__,
                message,
                shortened(f"{NoProgress.__name__}: {message}\n\n{threads}{stacks_of_workers(self._answers)}"),
                fingerprint(NoProgress.__name__, stack, ""),
                ExitCode.TRY_AGAIN,
            )
        )

    def _message(self, stack: Sequence[FrameSummary]) -> str:
        where = (
            f"in {stack[-1].name} ({Path(stack[-1].filename).name}:{stack[-1].lineno})" if stack else "outside Python"
        )
        return (
            f"no progress for {_in_words(self._silence.seconds)}: no heartbeat, no data and {self._silence.cpu:.1f} s "
            f"of CPU time while {pulse.doing or 'starting'}, {where}; a task that must wait longer needs a higher "
            "run.max_silence"
        )


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
