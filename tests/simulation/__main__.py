"""``make simulate SEED=...`` shows what happens under one seed; ``make soak N=...`` simulates many, on all cores."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count

from simulation.checks import Violation
from simulation.faults import Faults
from simulation.world import Outcome, quick_reading, simulate

CHUNK = 25  # seeds that a process runs before it reports
ENOUGH = 20  # failing seeds end a soak


def main() -> int:
    """Replay a seed, or soak."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="replay this seed, and print what happened")
    parser.add_argument("--without", nargs="*", default=(), metavar="KIND", help="leave out these kinds of faults")
    parser.add_argument("--soak", type=int, metavar="N", help="simulate until there have been N runs")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="SEED", help="the first seed of a soak")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="the number of processes of a soak")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if asked.soak:
        return soak(asked.soak, asked.first, asked.jobs)
    if asked.seed is None:
        parser.error("name a seed, or --soak N")
    return replay(asked.seed, asked.without)


def replay(seed: int, without: Iterable[str]) -> int:
    """Print everything that happened under one seed."""
    with quick_reading():
        outcome = simulate(seed, without, with_trace=True)
    print("\n".join(outcome.trace))
    print(f"faults: {_counts(outcome.faults)}")
    print(f"VIOLATION: {outcome.violation!r}" if outcome.violation else "every demand was met")
    return 1 if outcome.violation else 0


def shortest(seed: int) -> tuple[tuple[str, ...], Outcome]:
    """The kinds of faults that a violation can do without, found by leaving out one after the other; what is left."""
    without: tuple[str, ...] = ()
    outcome = simulate(seed, with_trace=True)
    for kind in Faults(seed).kinds:
        tried = simulate(seed, (*without, kind), with_trace=True)
        if tried.violation and type(tried.violation) is type(outcome.violation):
            without, outcome = (*without, kind), tried
    return without, outcome


def report(seed: int) -> str:
    """A failing seed in few words: the violation, the end of the trace of the run that it names, how to replay it."""
    without, outcome = shortest(seed)
    left_out = f' WITHOUT="{" ".join(map(repr, without))}"' if without else ""
    about = [line for line in outcome.trace if any(word in line for word in _run_ids(outcome)) or "person" in line]
    lines = "\n".join(f"    {line[:200]}" for line in about[-25:])
    return f"seed {seed}: {outcome.violation!r}\n{lines}\n  again: make simulate SEED={seed}{left_out}"


@dataclass
class Tally:
    """What a soak has seen so far."""

    runs: int = 0
    events: int = 0
    last: int = 0  # seed
    faults: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    failing: list[int] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one seed."""
        self.last = max(self.last, outcome.seed)
        self.runs += outcome.runs
        self.events += outcome.events
        self.faults += outcome.faults
        self.phases += outcome.phases
        self.failing += [outcome.seed] if outcome.violation else []


def soak(wanted: int, first: int, jobs: int) -> int:
    """Simulate ``wanted`` runs; returns 1 if a demand was not met."""
    began, tally = time.monotonic(), Tally()
    with closing(_outcomes(first, jobs)) as outcomes:
        for outcome in outcomes:
            tally.add(outcome)
            _say(f"{tally.runs:,} runs, {tally.faults.total():,} faults, {len(tally.failing)} failing seeds")
            if tally.runs >= wanted or len(tally.failing) == ENOUGH:
                break
    seconds = time.monotonic() - began
    print(f"seeds {first} to {tally.last}: {tally.runs:,} runs in {seconds:.0f} s, {tally.runs / seconds:.0f} a second")
    print(f"{tally.events:,} events; ends: {_counts(tally.phases)}")
    print(f"faults: {_counts(tally.faults)}")
    with quick_reading():
        for seed in tally.failing[:5]:
            print(report(seed))
    print(f"failing seeds: {tally.failing}" if tally.failing else "every demand was met")
    return 1 if tally.failing else 0


def _outcomes(first: int, jobs: int) -> Iterator[Outcome]:
    """The outcomes of one seed after another, for ever."""
    starts = count(first, CHUNK)
    with ProcessPoolExecutor(jobs, initializer=_prepare) as pool:
        pending = deque(pool.submit(_simulate_chunk, next(starts)) for _ in range(2 * jobs))
        try:
            while True:
                yield from pending.popleft().result()
                pending.append(pool.submit(_simulate_chunk, next(starts)))
        finally:
            pool.shutdown(cancel_futures=True)


def _simulate_chunk(start: int) -> list[Outcome]:
    outcomes = [simulate(seed) for seed in range(start, start + CHUNK)]
    for outcome in outcomes:  # what the parent needs of it, and what can be sent there
        outcome.trace, outcome.violation = [], outcome.violation and Violation(repr(outcome.violation))
    gc.collect()
    return outcomes


def _prepare() -> None:
    logging.disable(logging.CRITICAL)
    quick_reading().__enter__()  # as long as the process lives
    gc.disable()  # a chunk makes much garbage in cycles, and little of it at a time


def _run_ids(outcome: Outcome) -> list[str]:
    return [word.strip("'\"{}[](),") for word in repr(outcome.violation).split() if word.count("-") >= 2]


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{kind} {number:,}" for kind, number in counter.most_common())


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text}", end="", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
