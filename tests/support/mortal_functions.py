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

from support.interruptions import WRITES

sys.path.insert(0, str(Path(__file__).parents[2] / "functions"))

import main
from main import on_job_state_changed, on_kick, on_object_finalized  # noqa: F401 - the entry points

LIVES = 12  # after so many deaths a process lives for ever


class Mortal:
    """A port whose writes are counted together with those of all other ports of the process."""

    lock = threading.Lock()
    writes = 0
    last = 0  # the write at which this process dies; 0 for never

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name not in WRITES:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            bare = [arg._port if isinstance(arg, Mortal) else arg for arg in args]
            return _counted(lambda: found(*bare, **kwargs))

        return call


def _counted(write: Callable[[], Any]) -> Any:
    with Mortal.lock:
        Mortal.writes += 1
        dies = Mortal.writes == Mortal.last
    if dies and os.environ["EPYDROP_MORTAL"].startswith("before"):
        os._exit(9)
    result = write()
    if dies:
        os._exit(9)
    return result


def _mortal_world(variables: Any) -> Any:
    from dataclasses import replace

    world = _immortal_world(variables)
    deaths = Path(os.environ["EPYDROP_MORTAL"].partition(":")[2])
    with deaths.open("a") as file:
        file.write(".")
        file.flush()
        number = file.tell()
    Mortal.last = number if number <= LIVES else 0
    return replace(
        world,
        runs=Mortal(world.runs),
        trigger=Mortal(world.trigger),
        jobs=Mortal(world.jobs),
        publisher=Mortal(world.publisher),
        open_store=lambda url: Mortal(world.open_store(url)),
    )


_immortal_world = main.cloud_world
main.cloud_world = _mortal_world
