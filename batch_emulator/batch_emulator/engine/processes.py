"""Processes and their groups as the system shows them: how to know one again, what a group uses, how to end it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import suppress

import psutil

_SAME_WITHIN = 2.0  # seconds; a clock that is set moves what the system reports, and no id comes round so soon
_GONE_WITHIN = 10.0
_GONE = (psutil.Error, ProcessLookupError)


def created(pid: int) -> float | None:
    """When a process started, in seconds since 1970; None when it is gone. With the id, it names one process."""
    try:
        return psutil.Process(pid).create_time()
    except _GONE:
        return None


def is_same(pid: int, created_then: float | None) -> bool:
    """Whether the process of this id is alive and the one that started then."""
    now = created(pid)
    return now is not None and created_then is not None and abs(now - created_then) < _SAME_WITHIN


def signal_group(pid: int, number: int) -> None:
    """Sends a signal to a task's whole group, or to the task alone while it has not made its group yet."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end_recorded(pid: int, created_then: float | None) -> None:
    """Kills the group of a process recorded by an earlier supervisor, unless the id is another's by now."""
    if is_same(pid, created_then):
        members = list(_members({pid}))
        signal_group(pid, signal.SIGKILL)
        wait_gone([pid, *(member for member, _ in members)])
    elif created(pid) is None:
        # The leader is gone; an id is not given out again while a group of that number has members.
        members = list(_members({pid}))
        for member, _ in members:
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        wait_gone([member for member, _ in members])


def end_trees(pids: Collection[int], patience: float) -> None:
    """Asks processes and all below them to end, and after so many seconds makes them."""
    members: list[psutil.Process] = []
    for pid in pids:
        with suppress(*_GONE):
            process = psutil.Process(pid)
            members += [process, *process.children(recursive=True)]
    for member in members:
        with suppress(*_GONE):
            member.terminate()
    wait_gone([member.pid for member in members], patience)
    for member in members:
        with suppress(*_GONE):
            member.kill()
    wait_gone([member.pid for member in members])


def wait_gone(pids: Collection[int], patience: float = _GONE_WITHIN) -> None:
    """Waits until processes that were told to end are gone; a zombie, which does nothing any more, counts as gone."""
    deadline = time.monotonic() + patience
    while any(_is_at_work(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)


def memory_of(groups: Collection[int]) -> dict[int, int]:
    """Bytes of resident memory of each group, all its members together."""
    used = dict.fromkeys(groups, 0)
    for pid, group in _members(groups):
        with suppress(*_GONE):
            used[group] += psutil.Process(pid).memory_info().rss
    return used


def _members(groups: Collection[int]) -> Iterator[tuple[int, int]]:
    """Each process of these groups with its group: one cheap question per process of the machine."""
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError):
            group = os.getpgid(pid)
            if group in groups:
                yield pid, group


def _is_at_work(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except _GONE:
        return False
