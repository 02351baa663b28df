"""Machines that are lost on purpose, for tests and rehearsals."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from epydrop.jobs import TaskExit


@dataclass(frozen=True)
class Trouble:
    """Which tasks lose their machine: position in the job -> in how many of its first tries.

    Struck within ``within`` seconds, at a moment that the seed fixes, or when the task ends, if that is
    sooner: a try that is to be lost is always lost. ``jobs`` limits it to jobs whose ids begin so.
    """

    preempt: Mapping[int, int] = field(default_factory=dict)
    lose_vm: Mapping[int, int] = field(default_factory=dict)
    seed: int = 0
    within: float = 0.5
    jobs: str = ""

    def strikes(self, job_id: str, position: int, retry: int) -> tuple[float, int] | None:
        """Seconds into this try, and the exit code to report; None when the try is left alone."""
        preemptions = self.preempt.get(position, 0)
        if not job_id.startswith(self.jobs) or retry >= preemptions + self.lose_vm.get(position, 0):
            return None
        moment = random.Random(f"{self.seed}/{job_id}/{position}/{retry}").random() * self.within  # noqa: S311
        return moment, TaskExit.PREEMPTED if retry < preemptions else TaskExit.REPORTING_TIMEOUT
