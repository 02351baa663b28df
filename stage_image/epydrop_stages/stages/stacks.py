"""Where every thread of a task and its worker processes stands: text for a record, and a last resort for the log.

faulthandler writes stacks from C, without the interpreter's lock. So a worker that hangs in native code answers a
signal, and a task whose native code keeps the lock, where no Python thread can act, still leaves its stacks in the log.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import IO

_STDERR = 2
_ASK = signal.SIGUSR1
_ANSWERS = sys.platform == "linux"  # where workers are forked, and so have the handler that is installed here
_ANSWER_WITHIN = 2.0  # seconds; a later answer stands below the next worker's heading
_STEP = 0.05
_MOST_WORKERS = 16  # they do the same work, so more would say no more


def main_stack() -> traceback.StackSummary:
    """The stack of the main thread, outermost call first."""
    frame = _frames().get(threading.main_thread().ident or 0)
    return traceback.extract_stack(frame) if frame else traceback.StackSummary()


def own_stacks(but: tuple[threading.Thread, ...] = ()) -> str:
    """The stacks of all threads of this process but some, the main thread's first."""
    threads = sorted(
        (thread for thread in threading.enumerate() if thread not in but),
        key=lambda thread: thread is not threading.main_thread(),
    )
    frames = _frames()
    return "\n".join(
        f"Thread {thread.name} (most recent call last):\n{''.join(traceback.format_stack(frames[thread.ident]))}"
        for thread in threads
        if thread.ident in frames
    )


def _frames() -> dict[int, FrameType]:
    return sys._current_frames()  # noqa: SLF001 - documented in spite of its name


@contextmanager
def workers_answer() -> Iterator[IO[bytes]]:
    """A file for ``stacks_of_workers``: a process that is forked inside the block writes its stacks there if asked."""
    with tempfile.TemporaryFile() as file:
        if not _ANSWERS:
            yield file
            return
        faulthandler.register(_ASK, file, all_threads=True)
        try:
            yield file
        finally:
            faulthandler.unregister(_ASK)


def stacks_of_workers(file: IO[bytes]) -> str:
    """The stacks of the worker processes. Only for a task that ends: without the handler, the signal kills."""
    for worker in multiprocessing.active_children()[:_MOST_WORKERS] if _ANSWERS else []:
        os.write(file.fileno(), f"\nWorker process {worker.pid}:\n".encode())
        asked = _size(file)
        with suppress(ProcessLookupError):
            os.kill(worker.pid or 0, _ASK)
        _wait_for_answer(file, asked)
    return os.pread(file.fileno(), _size(file), 0).decode(errors="replace")


def _wait_for_answer(file: IO[bytes], asked: int) -> None:
    """Wait until the file has grown and grows no more."""
    deadline, last = time.monotonic() + _ANSWER_WITHIN, asked
    while time.monotonic() < deadline:
        time.sleep(_STEP)
        if asked < _size(file) == last:
            return
        last = _size(file)


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


class _LateDump:
    """The stacks of this process in its log, unless the time is set again before it is over."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def set(self, seconds: float) -> None:
        """Write them in so many seconds."""
        self._seconds = seconds
        faulthandler.dump_traceback_later(seconds, file=_STDERR)

    def cancel(self) -> None:
        """Do not write them."""
        if self._seconds:
            faulthandler.cancel_dump_traceback_later()
            self._seconds = 0.0

    # A forked process lacks faulthandler's thread and would wait for it for ever when it exits, so there is none during
    # a fork.

    def before_fork(self) -> None:
        if self._seconds:
            faulthandler.cancel_dump_traceback_later()

    def after_fork(self) -> None:
        if self._seconds:
            self.set(self._seconds)

    def in_child(self) -> None:
        self._seconds = 0.0


late_dump = _LateDump()
os.register_at_fork(
    before=late_dump.before_fork, after_in_parent=late_dump.after_fork, after_in_child=late_dump.in_child
)
