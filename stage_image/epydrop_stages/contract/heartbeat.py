"""Signs of life: whoever works says so, and the stages' watchdog does not take a long wait for a hang."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Pulse:
    """How often this process said that it makes progress, and what it was doing the last time."""

    beats: int = 0
    doing: str = ""


pulse = Pulse()


def heartbeat(doing: str) -> None:
    """Say that the task makes progress, and what it does, in a word or two that a person reads if it then hangs.

    Cheap enough for every simulation. Needed only before and during waits that use no CPU and pass no bytes through the
    store: a task that computes is known to be alive. Counts in the task's own process only.
    """
    pulse.beats += 1
    pulse.doing = doing
