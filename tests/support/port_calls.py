"""A port whose calls go through a function of the test, which may fail before or after them."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

READS = {"load", "unfinished", "history", "stat", "read", "list", "get", "failed_tasks"}
WRITES = {"create", "save", "write", "copy", "delete", "submit", "cancel", "publish"}
CALLS = READS | WRITES


class Around:
    """A port whose calls of these names go through ``around``, which gets the name and the call itself.

    Other ports among the arguments are handed on bare.
    """

    def __init__(self, port: Any, names: Container[str], around: Callable[[str, Callable[[], Any]], Any]) -> None:
        self._port = port
        self._names = names
        self._around = around

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name not in self._names:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            bare = [arg._port if isinstance(arg, Around) else arg for arg in args]
            return self._around(name, lambda: found(*bare, **kwargs))

        return call
