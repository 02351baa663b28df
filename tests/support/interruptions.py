"""Crashes and pauses before or after any single call of a port."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from typing import Any

READS = {"load", "unfinished", "stat", "read", "list", "get", "failed_tasks"}
WRITES = {"create", "save", "write", "copy", "delete", "submit", "cancel", "publish"}
PORT_CALLS = READS | WRITES


class Crash(BaseException):
    """The process died here. Not an Exception, so that no handler of errors can stop it."""


class Interruptions:
    """Counts the port calls of one handling, and acts at one of them: ``moment`` 2n is before call n, 2n+1 after it."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextmanager
    def at(self, moment: int | None, act: Callable[[], None]) -> Iterator[None]:
        """Within the block, in this thread, ``act`` is called at the moment."""
        self._local.calls, self._local.moment, self._local.act = 0, moment, act
        try:
            yield
        finally:
            self._local.moment = None

    def around(self, call: Callable[[], Any]) -> Any:
        """One call of a port."""
        number = getattr(self._local, "calls", 0)
        self._local.calls = number + 1
        self._maybe_act(2 * number)
        result = call()
        self._maybe_act(2 * number + 1)
        return result

    def _maybe_act(self, moment: int) -> None:
        if getattr(self._local, "moment", None) == moment:
            self._local.moment = None
            self._local.act()


class Around:
    """A port whose calls of these names go through ``around``; other ports among the arguments are handed on bare."""

    def __init__(self, port: Any, names: Container[str], around: Callable[[Callable[[], Any]], Any]) -> None:
        self._port = port
        self._names = names
        self._around = around

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name not in self._names:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            bare = [arg._port if isinstance(arg, Around) else arg for arg in args]
            return self._around(lambda: found(*bare, **kwargs))

        return call


class Interruptible(Around):
    """A port whose calls can be interrupted; iterators are drained within their one call."""

    def __init__(self, port: Any, interruptions: Interruptions) -> None:
        super().__init__(port, PORT_CALLS, lambda call: interruptions.around(lambda: _drained(call())))


def _drained(result: Any) -> Any:
    return iter(list(result)) if isinstance(result, Iterator) else result


class Paused:
    """A handling in a thread of its own that stops at a moment and goes on when told to."""

    def __init__(self, work: Callable[[], None], interruptions: Interruptions, moment: int) -> None:
        self._resume = threading.Event()
        self._stopped = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work, interruptions, moment), daemon=True)
        self._thread.start()
        self._stopped.wait()

    def _run(self, work: Callable[[], None], interruptions: Interruptions, moment: int) -> None:
        def wait() -> None:
            self._stopped.set()
            self._resume.wait()

        try:
            with interruptions.at(moment, wait):
                work()
        except BaseException as error:  # noqa: BLE001 - reported to the caller that finishes the handling
            self.error = error
        finally:
            self._stopped.set()

    def finish(self) -> BaseException | None:
        """Lets the handling go on to its end; returns what it raised."""
        self._resume.set()
        self._thread.join()
        return self.error
