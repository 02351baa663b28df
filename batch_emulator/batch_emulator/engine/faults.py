"""Machines that are lost on purpose, for tests and rehearsals."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from epydrop.core.jobs import TaskExit


@dataclass(frozen=True)
class Trouble:
    """Which tasks lose their machine: position in the job -> in how many of its first tries.

    ``exits`` does the same for any other exit code; a task in several of them goes through one after the other.
    Struck within ``within`` seconds, at a moment that the seed fixes, or when the task ends, if that is
    sooner: a try that is to be lost is always lost. ``jobs`` limits it to jobs whose ids begin so.
    """

    preempt: Mapping[int, int] = field(default_factory=dict)
    lose_vm: Mapping[int, int] = field(default_factory=dict)
    exits: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    seed: int = 0
    within: float = 0.5
    jobs: str = ""

    def strikes(self, job_id: str, position: int, retry: int) -> tuple[float, int] | None:
        """Seconds into this try, and the exit code to report; None when the try is left alone."""
        if not job_id.startswith(self.jobs):
            return None
        struck = 0
        for exit_code, tries in self._in_turn():
            struck += tries.get(position, 0)
            if retry < struck:
                chance = random.Random(f"{self.seed}/{job_id}/{position}/{retry}")  # noqa: S311 - trouble is no secret
                return chance.random() * self.within, exit_code
        return None

    def _in_turn(self) -> list[tuple[int, Mapping[int, int]]]:
        return [
            (TaskExit.PREEMPTED, self.preempt),
            (TaskExit.REPORTING_TIMEOUT, self.lose_vm),
            *sorted(self.exits.items()),
        ]
