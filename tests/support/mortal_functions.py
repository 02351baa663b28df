"""The functions as they are deployed, but for one thing: a process dies after a number of its writes, without a word.

The k-th process dies after k writes, before or after the last of them, so that all places are tried and the work
still comes to an end. EPYDROP_MORTAL names the file that counts the processes, and says 'before' or 'after'.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.interruptions import WRITES, Around
from support.paths import ROOT

sys.path.insert(0, str(ROOT / "functions"))

import main
from main import on_job_state_changed, on_kick, on_object_finalized  # noqa: F401 - the entry points

LIVES = 12  # after so many deaths a process lives for ever


class Mortality:
    """Counts the writes of all ports of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writes = 0
        self.last = 0  # the write at which this process dies; 0 for never

    def around(self, write: Callable[[], Any]) -> Any:
        """One write, or the end."""
        with self._lock:
            self._writes += 1
            dies = self._writes == self.last
        if dies and os.environ["EPYDROP_MORTAL"].startswith("before"):
            os._exit(9)
        result = write()
        if dies:
            os._exit(9)
        return result


_MORTALITY = Mortality()


def mortal(port: Any) -> Around:
    """The port; its writes may be the last."""
    return Around(port, WRITES, _MORTALITY.around)


def _mortal_world(variables: Any) -> Any:
    from dataclasses import replace

    world = _immortal_world(variables)
    deaths = Path(os.environ["EPYDROP_MORTAL"].partition(":")[2])
    with deaths.open("a") as file:
        file.write(".")
        file.flush()
        number = file.tell()
    _MORTALITY.last = number if number <= LIVES else 0
    return replace(
        world,
        runs=mortal(world.runs),
        trigger=mortal(world.trigger),
        jobs=mortal(world.jobs),
        publisher=mortal(world.publisher),
        open_store=lambda url: mortal(world.open_store(url)),
    )


_immortal_world = main.cloud_world
main.cloud_world = _mortal_world
