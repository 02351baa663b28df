"""The tasks of the benchmarks: they sleep or burn CPU, in a process that has imported the modelling code."""

from __future__ import annotations

import time
from collections.abc import Sequence

import epydrop_stages.__main__  # noqa: F401 - as a real task has done

SECONDS = 0.2


def burn(rounds: int) -> None:
    """Keeps one core busy for a number of rounds of the same arithmetic."""
    total = 0
    for _ in range(rounds):
        for number in range(10_000):
            total += number * number


def main(argv: Sequence[str]) -> int:
    """``sleep`` sleeps for SECONDS; ``burn ROUNDS`` computes."""
    if argv[0] == "sleep":
        time.sleep(SECONDS)
    else:
        burn(int(argv[1]))
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
