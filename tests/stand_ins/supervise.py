"""Runs the jobs of a folder until it is killed: ``python supervise.py FOLDER fork|spawn``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from support.engine_jobs import Engine


def main(root, kind):
    """Says 'running' once it has the lock."""
    engine = Engine(root, kind)
    engine.step(0)
    sys.stdout.write("running\n")
    sys.stdout.flush()
    while True:
        engine.step(1.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
