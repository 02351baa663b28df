"""The faults of one simulation: which kinds it has, how often, and when they strike."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from math import log
from random import Random

OF_CALLS = ("stall", "crash before", "crash after", "error before", "error after", "window 403", "window 429")

# How often each kind strikes where it may, at its usual rate.
RATES = {
    # a call of a port
    "crash before": 0.004,
    "crash after": 0.004,
    "error before": 0.006,
    "error after": 0.006,
    "stall": 0.01,
    "contention": 0.02,  # of a save: somebody else has just saved
    "window 403": 0.0003,
    "window 429": 0.0006,
    # an event
    "event lost": 0.1,
    "event repeated": 0.15,
    "event late": 0.1,
    "second sweep": 0.1,
    # a function, or the one machine that does everything
    "clock skew": 0.3,
    "killed": 0.002,  # of the writes: just before it
    # a job
    "lagging read": 0.05,
    "job stuck": 0.03,
    "job idle": 0.03,
    "job deleted": 0.02,
    "job cancelled": 0.02,
    # a task
    "preempted": 0.1,
    "machine lost": 0.05,
    "task hung": 0.03,
    "out of memory": 0.05,
    "task failed": 0.06,
    "timed out": 0.03,
    "bad input": 0.03,
    "never ran": 0.02,
    "damaged": 0.06,
    "damaged later": 0.02,
    # a person
    "kick at the worst moment": 0.01,  # of the writes: just before it, to the very run
}


class Faults:
    """Draws faults. Each kind has random numbers of its own, so that one can be left out while the others stay."""

    def __init__(self, seed: int, without: Iterable[str] = ()) -> None:
        swarm = Random(f"{seed}/swarm")
        # Half of the kinds in each simulation, at varying rates: faults that hide one another meet apart, too.
        drawn = {kind: rate * swarm.choice((0, 0, 0.5, 2)) for kind, rate in RATES.items()}
        self._rates = {kind: rate for kind, rate in drawn.items() if rate and kind not in set(without)}
        self._randoms = {kind: Random(f"{seed}/{kind}") for kind in self._rates}
        self.struck: Counter[str] = Counter()
        self.have_ceased = False
        self._calls = 0
        self._call_of: dict[str, int] = {}  # kind -> the number of the next call that it strikes
        self._next_call = sys.maxsize
        for kind in OF_CALLS:
            if kind in self._rates:
                self._plan_call(kind)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that this simulation has."""
        return tuple(self._rates)

    def strikes(self, kind: str) -> bool:
        """Whether this kind of fault strikes here and now."""
        rate = self._rates.get(kind)
        if rate is None or self.have_ceased or self._randoms[kind].random() >= rate:
            return False
        self.struck[kind] += 1
        return True

    def of_next_call(self) -> str:
        """The fault that strikes the next call of a port, or an empty text. Most calls are spared, so it asks once."""
        self._calls += 1
        if self._calls < self._next_call or self.have_ceased:
            return ""
        kind = min(self._call_of, key=self._call_of.__getitem__)
        self._plan_call(kind)
        self.struck[kind] += 1
        return kind

    def _plan_call(self, kind: str) -> None:
        """Choose the next call that this kind strikes; the gaps are geometric, as if each call were drawn for."""
        gap = log(1 - self._randoms[kind].random()) / log(1 - self._rates[kind])
        self._call_of[kind] = self._calls + 1 + int(gap)
        self._next_call = min(self._call_of.values())

    def first_of(self, *kinds: str) -> str:
        """The first of these kinds that strikes, or an empty text."""
        return next((kind for kind in kinds if self.strikes(kind)), "")

    def amount(self, kind: str, low: float, high: float) -> float:
        """A number between the two, for a fault of this kind."""
        return self._randoms[kind].uniform(low, high)
