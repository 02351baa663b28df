"""A stage that is imported once, before any task: ``python -m preloaded_stage WORDS``, ``... fail-each N``."""

from __future__ import annotations

import os
import sys

IMPORTED_BY = os.getpid()


def main(argv):
    """Says whether its process is the one that imported it, and what it was given."""
    if argv[:1] == ["fail-each"]:
        return int(int(os.environ["BATCH_TASK_INDEX"]) % int(argv[1]) == 7)
    sys.stdout.write(f"{os.getpid() != IMPORTED_BY} {argv} {os.environ['BATCH_TASK_INDEX']} {os.environ.get('MOOD')}\n")
    return 7 if "fail" in argv else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
