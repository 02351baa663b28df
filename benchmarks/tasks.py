"""What one task of the benchmarks does: nothing but take its time, in a process that has loaded the modelling code."""

from __future__ import annotations

import time
from collections.abc import Sequence

import epydrop_stages.__main__  # noqa: F401 - a real task has loaded all of this

SECONDS = 0.2


def burn(rounds: int) -> None:
    """Keeps one core busy for a number of rounds of the same arithmetic."""
    total = 0
    for _ in range(rounds):
        for number in range(10_000):
            total += number * number


def main(argv: Sequence[str]) -> int:
    """``sleep`` waits for SECONDS; ``burn ROUNDS`` computes."""
    if argv[0] == "sleep":
        time.sleep(SECONDS)
    else:
        burn(int(argv[1]))
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
