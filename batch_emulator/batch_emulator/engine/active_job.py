"""A job that the supervisor is working on: which task comes next, and whether anything is left to do."""

from __future__ import annotations

import heapq
import math
import time
from collections import deque
from dataclasses import dataclass, field

from batch_emulator.engine.job_store import TaskRow
from batch_emulator.engine.work import Work


@dataclass
class ActiveJob:
    """``waiting`` are tasks in order; ``retries`` is a heap of (earliest start, position, task).

    Times are seconds of the monotonic clock.
    """

    work: Work
    waiting: deque[TaskRow]
    retries: list[tuple[float, int, TaskRow]] = field(default_factory=list)
    running: int = 0
    is_cancelled: bool = False
    starts_at: float = field(init=False)

    def __post_init__(self) -> None:
        """Converts the end of a hold from wall-clock time, which survives restarts, to the monotonic clock."""
        held = self.work.hold.until - time.time() if self.work.hold else 0.0
        self.starts_at = time.monotonic() + held

    def take_next(self, now: float) -> TaskRow | None:
        """Removes and returns the task to start next; None if none may start."""
        if self.is_cancelled or self.running >= self.work.parallelism or now < self.starts_at:
            return None
        # Retries first: they belong to lower positions, and results are wanted in order.
        if self.retries and self.retries[0][0] <= now:
            return heapq.heappop(self.retries)[2]
        return self.waiting.popleft() if self.waiting else None

    def retry_at(self, moment: float, row: TaskRow) -> None:
        """Puts a task back, to be started at ``moment`` or later."""
        heapq.heappush(self.retries, (moment, row.position, row))

    def next_start(self, now: float) -> float:
        """The next moment at which a task may start that may not start now; infinity if there is none."""
        if now < self.starts_at:
            return self.starts_at
        return self.retries[0][0] if self.retries else math.inf

    @property
    def is_over(self) -> bool:
        """Whether no task of the job runs or will run."""
        return not self.running and (self.is_cancelled or not (self.waiting or self.retries))
