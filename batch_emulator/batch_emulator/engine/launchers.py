"""Launchers start the processes of tasks and report how they ended: the interface, and one without a fork server."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from batch_emulator.engine.errors import UnavailableError
from batch_emulator.engine.jobs import TaskExit
from batch_emulator.engine.processes import signal_group, wait_gone


@dataclass(frozen=True)
class Launch:
    """A process to start: in a session of its own and the folder ``cwd``, with its output appended to ``log``."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)  # may hold secrets
    cwd: Path
    log: Path


@dataclass(frozen=True)
class Ended:
    """A process that ended together with its group: exit code, CPU seconds, peak memory in MiB."""

    pid: int
    exit_code: int
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0


class Launcher(Protocol):
    """Starts processes that end when this one does, even if it is killed. For one thread only."""

    def open(self, lock: int) -> None:
        """Prepares for ``start``. Every process started keeps the descriptor ``lock`` open, and so the lock held."""

    def warm_up(self) -> None:
        """Does now what the first start would have to wait for. Raises SetupError."""

    def start(self, launch: Launch) -> int:
        """Starts a process; its id is also that of its process group. Raises UnavailableError, SetupError."""

    def wait(self, timeout: float) -> list[Ended]:
        """The processes that ended since the last call; waits up to ``timeout`` seconds for the first one."""

    def close(self) -> None:
        """Kills every process that it started, and waits for them."""


class SpawnLauncher:
    """A new interpreter for each task: slower to start than a fork, and works on every system."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[subprocess.Popen[bytes], int]] = {}
        self._lifeline: tuple[int, int] | None = None
        self._lock = -1

    def open(self, lock: int) -> None:
        """Makes the pipe that the system closes when this process ends, which ends the tasks."""
        self._lock = lock
        self._lifeline = self._lifeline or os.pipe()

    def warm_up(self) -> None:
        """Nothing to prepare."""

    def start(self, launch: Launch) -> int:
        """Starts ``task_process``, which watches the pipe and runs the command."""
        if self._lifeline is None:
            raise RuntimeError("the launcher was not opened")
        # The child alone keeps ``ending`` open, so ``ended`` becomes readable when the child is gone.
        ended, ending = os.pipe()
        command = [
            sys.executable,
            "-P",
            "-m",
            "batch_emulator.engine.task_process",
            str(self._lifeline[0]),
            *launch.command,
        ]
        try:
            with launch.log.open("ab") as log:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=launch.cwd,
                    env=dict(launch.env),
                    pass_fds=(self._lifeline[0], ending, self._lock),
                    start_new_session=True,
                )
        except OSError as error:
            os.close(ended)
            raise UnavailableError(f"no process could be started: {error}") from error
        finally:
            os.close(ending)
        self._running[process.pid] = (process, ended)
        return process.pid

    def wait(self, timeout: float) -> list[Ended]:
        """Polls a pipe per process that only this process holds: unlike pidfds, that works on every system."""
        poll = select.poll()
        pids = {ended: pid for pid, (_, ended) in self._running.items()}
        for ended in pids:
            poll.register(ended, select.POLLIN)
        return [self._reaped(pids[ended]) for ended, _ in poll.poll(timeout * 1000)]

    def close(self) -> None:
        """Kills the process groups and closes the pipe."""
        for pid in self._running:
            signal_group(pid, signal.SIGKILL)
        for pid in list(self._running):
            self._reaped(pid)
        if self._lifeline:
            for end in self._lifeline:
                os.close(end)
            self._lifeline = None

    def _reaped(self, pid: int) -> Ended:
        process, ended = self._running.pop(pid)
        os.close(ended)
        _, status, usage = os.wait4(pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        signal_group(pid, signal.SIGKILL)  # what the task left running ends with it
        return ended_of(pid, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def ended_of(pid: int, status: int, cpu_seconds: float, max_rss: int) -> Ended:
    """From the results of ``os.wait4``; death by a signal counts as 128 plus its number, as in a shell."""
    code = os.waitstatus_to_exitcode(status)
    per_mib = 1024 if sys.platform != "darwin" else 1024 * 1024  # ru_maxrss is in KiB, on macOS in bytes
    return Ended(pid, code if code >= 0 else 128 - code, cpu_seconds, max_rss / per_mib)


def lost(pids: Sequence[int]) -> list[Ended]:
    """Kills processes whose end would go unseen, and reports them as on a machine that stopped reporting."""
    for pid in pids:
        signal_group(pid, signal.SIGKILL)
    wait_gone(pids)
    return [Ended(pid, TaskExit.REPORTING_TIMEOUT) for pid in pids]
