"""The functions as they are deployed, except that a process exits abruptly at one of its writes.

The k-th process dies at its k-th write: before it where k is odd, after it where k is even. So writes at different
places of the work are lost or left unconfirmed, and the work still comes to an end. Every place is tried in process,
by the simulation. EPYDROP_MORTAL names the file that counts the processes.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.paths import ROOT
from support.port_calls import WRITES, Around

sys.path.insert(0, str(ROOT / "functions"))

import main
from main import on_job_state_changed, on_kick, on_object_finalized  # noqa: F401 - the entry points

DEATHS = 8  # later processes run undisturbed


class Mortality:
    """Counts the writes of all ports of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writes = 0
        self.last = 0  # the write at which this process dies; 0 for never

    def around(self, _: str, write: Callable[[], Any]) -> Any:
        """One write, or the end."""
        with self._lock:
            self._writes += 1
            dies = self._writes == self.last
        if dies and self.last % 2:
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
    deaths = Path(os.environ["EPYDROP_MORTAL"])
    with deaths.open("a") as file:
        file.write(".")
        file.flush()
        number = file.tell()
    _MORTALITY.last = number if number <= DEATHS else 0
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
