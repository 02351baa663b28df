"""A job while the supervisor works on it: which task comes next, and whether anything is left to do."""

from __future__ import annotations

import heapq
import math
import time
from collections import deque
from dataclasses import dataclass, field

from batch_emulator.engine.job_store import TaskRow
from batch_emulator.engine.work import Work


@dataclass
class JobAtWork:
    """``waiting`` is in order; ``later`` are retries with the moment from which they may start.

    Moments are of the monotonic clock, in seconds.
    """

    work: Work
    waiting: deque[TaskRow]
    later: list[tuple[float, int, TaskRow]] = field(default_factory=list)
    running: int = 0
    is_cancelled: bool = False
    starts_at: float = field(init=False)

    def __post_init__(self) -> None:
        """A job held until some time of the clock on the wall is held as long by the other."""
        held = self.work.hold.until - time.time() if self.work.hold else 0.0
        self.starts_at = time.monotonic() + held

    def next_task(self, now: float) -> TaskRow | None:
        """The task to start next, taken from the job, if one may start."""
        if self.is_cancelled or self.running >= self.work.parallelism or now < self.starts_at:
            return None
        if self.later and self.later[0][0] <= now:
            return heapq.heappop(self.later)[2]
        return self.waiting.popleft() if self.waiting else None

    def try_again(self, row: TaskRow, moment: float) -> None:
        """Puts a task back, to be started when the moment has come."""
        heapq.heappush(self.later, (moment, row.position, row))

    def next_moment(self, now: float) -> float:
        """When a task may start that may not yet."""
        if now < self.starts_at:
            return self.starts_at
        return self.later[0][0] if self.later else math.inf

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs or will run."""
        return not self.running and (self.is_cancelled or not (self.waiting or self.later))
