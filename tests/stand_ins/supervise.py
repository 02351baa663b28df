"""Runs the jobs of a ROOT until it is killed: ``python supervise.py ROOT fork|spawn``."""

from __future__ import annotations

import sys
from pathlib import Path

from support.local_jobs import a_service


def main(root, kind):
    """Says 'tending' once it has the lock."""
    service, _ = a_service(Path(root), kind)
    service.tend(0)
    sys.stdout.write("tending\n")
    sys.stdout.flush()
    while True:
        service.tend(1.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
