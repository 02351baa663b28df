"""Processes and process groups: recognise one from an earlier session, measure its memory, end it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import suppress

import psutil

# Seconds. Setting the clock moves the start times that the system reports; no process id is reused so soon.
_SAME_WITHIN = 2.0
_GONE_WITHIN = 10.0
_GONE = (psutil.Error, ProcessLookupError)


def created(pid: int) -> float | None:
    """When a process started, in seconds since 1970; None if it is gone. Id and start time identify a process."""
    try:
        return psutil.Process(pid).create_time()
    except _GONE:
        return None


def is_same(pid: int, created_then: float | None) -> bool:
    """Whether a process of this id is alive and is the one that started then."""
    now = created(pid)
    return now is not None and created_then is not None and abs(now - created_then) < _SAME_WITHIN


def signal_group(pid: int, number: int) -> None:
    """Signals a task's whole group, or the task alone as long as it has not made its group."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):  # macOS raises the latter for a group of zombies
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end_recorded(pid: int, created_then: float | None) -> None:
    """Kills the group of a process that an earlier supervisor recorded, unless its id now belongs to another."""
    if is_same(pid, created_then):
        members = list(_members({pid}))
        signal_group(pid, signal.SIGKILL)
        wait_gone([pid, *(member for member, _ in members)])
    elif created(pid) is None:
        # The leader is gone; the system reuses no id as long as a process group of that number has members.
        members = list(_members({pid}))
        for member, _ in members:
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        wait_gone([member for member, _ in members])


def end_trees(pids: Collection[int], patience: float) -> None:
    """Ends processes and all their descendants: SIGTERM, and SIGKILL after ``patience`` seconds."""
    members: list[psutil.Process] = []
    for pid in pids:
        with suppress(*_GONE):
            process = psutil.Process(pid)
            members += [process, *process.children(recursive=True)]
    # psutil checks the start time before it signals, so a reused process id is safe.
    for member in members:
        with suppress(*_GONE):
            member.terminate()
    wait_gone([member.pid for member in members], patience)
    for member in members:
        with suppress(*_GONE):
            member.kill()
    wait_gone([member.pid for member in members])


def wait_gone(pids: Collection[int], patience: float = _GONE_WITHIN) -> None:
    """Waits until processes that were told to end are gone, at most ``patience`` seconds; zombies count as gone."""
    deadline = time.monotonic() + patience
    while any(_is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)


def memory_of(groups: Collection[int]) -> dict[int, int]:
    """Resident memory of each process group in bytes, summed over its members."""
    used = dict.fromkeys(groups, 0)
    for pid, group in _members(groups):
        with suppress(*_GONE):
            used[group] += psutil.Process(pid).memory_info().rss
    return used


def _members(groups: Collection[int]) -> Iterator[tuple[int, int]]:
    """(process id, group id) of each member of these groups. One cheap system call per process of the machine."""
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError):
            group = os.getpgid(pid)
            if group in groups:
                yield pid, group


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except _GONE:
        return False
