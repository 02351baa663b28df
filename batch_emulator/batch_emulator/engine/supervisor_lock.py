"""One supervisor per folder, ensured by a locked file that every task keeps open as well.

So the lock of a killed supervisor becomes free only when the last of its tasks is gone, and no task runs twice
at the same time.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from batch_emulator.engine import processes
from batch_emulator.engine.errors import UnavailableError

_RELEASED_WITHIN = 15.0  # seconds; tasks end almost at once when their supervisor does


class SupervisorLock:
    """The lock file ``path``, which contains the id and the start time of the process that holds the lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def take(self) -> int:
        """Takes the lock and returns the file descriptor that holds it.

        Raises UnavailableError, naming the process, if another supervisor has the lock.
        """
        if self._handle is not None:
            return self._handle
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._wait_for(handle)
        except BaseException:
            os.close(handle)
            raise
        # Not closed until release: the lock belongs to the open file, which tasks inherit.
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {processes.created(os.getpid())}\n".encode(), 0)
        self._handle = handle
        return handle

    def release(self) -> None:
        """Releases the lock; harmless if it was not taken."""
        if self._handle is not None:
            # Without a name in the file, the next one waits for processes that are still ending, instead of giving up.
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None

    def _wait_for(self, handle: int) -> None:
        deadline = time.monotonic() + _RELEASED_WITHIN
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _holder(handle)
                if holder and processes.is_same(*holder):
                    raise UnavailableError(
                        f"process {holder[0]} runs the tasks of {self._path.parent.parent}; wait for it, or end it"
                    ) from None
                if time.monotonic() > deadline:
                    raise UnavailableError(
                        f"tasks of a supervisor that ended still hold {self._path}; try again soon"
                    ) from None
                time.sleep(0.02)
            else:
                return


def _holder(handle: int) -> tuple[int, float] | None:
    try:
        pid, created = os.pread(handle, 100, 0).split()
        return int(pid), float(created)
    except ValueError:
        return None  # the holder has just taken it, and not yet written its id
