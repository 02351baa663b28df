"""Virtual time: what happens next, and when."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 12, 2, 6, tzinfo=UTC)

Action = Callable[[], None]


class Timeline:
    """Actions in the order of their times; ``now`` is in seconds since ``START``."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()

    @property
    def moment(self) -> datetime:
        """The time as a datetime."""
        return moment_of(self.now)

    def after(self, seconds: float, action: Action) -> None:
        """Let something happen so many seconds from now."""
        heapq.heappush(self._due, (self.now + seconds, next(self._numbers), action))

    def step(self) -> None:
        """Go on to the next action, and let it happen."""
        self.now, _, action = heapq.heappop(self._due)
        action()


def moment_of(seconds: float) -> datetime:
    """The moment so many seconds after the start."""
    return START + timedelta(seconds=seconds)
