"""A process that has imported the tasks' code once, and forks one child for each task. Linux only.

``python -m batch_emulator.engine.forkserver CHANNEL LIFELINE LOCK MODULE...``: the first three are inherited file
descriptors. Requests and replies are lines of JSON on the channel: ``{"command", "env", "cwd", "log"}`` ->
``{"pid"}``, and for each child that ended ``{"ended", "status", "cpu_seconds", "max_rss"}``. The process has a
single thread: a fork copies no other, and a lock held by another thread would stay locked in the child.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from batch_emulator.engine import task_process

_LINE = 1 << 16


def main(argv: list[str]) -> int:
    """Serves until the channel closes, and then kills the children that still run."""
    channel = socket.socket(fileno=int(argv[0]))
    lifeline = int(argv[1])
    for handle in (channel.fileno(), lifeline, int(argv[2])):
        os.set_inheritable(handle, False)  # forks keep them; programs that a task starts do not
    refusal = next(filter(None, map(_preload, argv[3:])), "")
    with suppress(BrokenPipeError, ConnectionResetError):
        _send(channel, {"refused": refusal} if refusal else {"ready": os.getpid()})
        if not refusal:
            _Server(channel, lifeline).serve()
    return 0


def _preload(module: str) -> str:
    """Imports the tasks' code; returns what is wrong with it, or an empty string."""
    try:
        importlib.import_module(task_process.entry_module(module))
    except BaseException:  # noqa: BLE001 - reported to the supervisor
        return f"{module} cannot be imported:\n{traceback.format_exc()}"
    threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    if threads != 1:
        known = ", ".join(thread.name for thread in threading.enumerate()[1:]) or "none that Python knows of"
        return (
            f"importing {module} started {threads - 1} threads ({known}), so it cannot be forked safely; "
            "import what starts them inside the functions that need it, or use the SpawnLauncher"
        )
    gc.collect()
    gc.freeze()  # the collector would otherwise write to, and so copy, every page that the children share
    return ""


class _Server:
    """The loop: reads requests, forks, reports ended children.

    One spare child is always forked ahead and waits for its task: copying the page tables of a process that has
    imported so much takes milliseconds, and this way it happens while other tasks run.
    """

    def __init__(self, channel: socket.socket, lifeline: int) -> None:
        self._channel = channel
        self._lifeline = lifeline
        self._children: set[int] = set()
        self._spare: tuple[int, socket.socket] | None = None
        self._own_lifeline, self._alive = os.pipe()
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler, so that the wake-up byte is written
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def serve(self) -> None:
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        try:
            received = b""
            while True:
                self._prepare()
                ready = dict(poll.poll())
                if self._wake in ready:
                    os.read(self._wake, _LINE)
                if self._channel.fileno() in ready:
                    data = self._channel.recv(_LINE)
                    if not data:
                        return
                    *lines, received = (received + data).split(b"\n")
                    for line in lines:
                        self._start(line)
                self._reap()
        finally:
            if self._spare:
                self._spare[1].close()
            for pid in self._children:
                kill_group(pid)

    def _prepare(self) -> None:
        """Forks the spare child, if there is none; a failure is reported when a task needs the child."""
        if self._spare:
            return
        ours, theirs = socket.socketpair()
        with suppress(OSError):
            pid = os.fork()
            if pid == 0:
                ours.close()
                self._become(theirs)
            self._spare = pid, ours
        theirs.close()

    def _start(self, line: bytes) -> None:
        self._prepare()
        if self._spare is None:
            _send(self._channel, {"failed": "the system refused another process"})
            return
        pid, handover = self._spare
        self._spare = None
        with handover, suppress(BrokenPipeError, ConnectionResetError):  # if it has just died, its end is reported
            handover.sendall(line)
        self._children.add(pid)
        _send(self._channel, {"pid": pid})

    def _become(self, handover: socket.socket) -> NoReturn:
        """Runs in the child: waits for its task and becomes it. Exits without the server's exit handlers."""
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._channel.close()
            os.close(self._alive)
            os.close(self._wake)
            with handover, handover.makefile("rb") as lines:
                line = lines.read()
            if not line:
                os._exit(0)  # the server is gone
            request = json.loads(line)
            _redirect(request["log"])
            os.chdir(request["cwd"])
            os.environ.clear()
            os.environ.update(request["env"])
            tempfile.tempdir = None  # cached by the server; look it up again in the task's environment
            task_process.die_with(self._lifeline, self._own_lifeline)
            code = task_process.run(request["command"])
        except BaseException:  # noqa: BLE001 - nothing may return into the server's loop
            with suppress(BaseException):
                traceback.print_exc()
                sys.stderr.flush()
        finally:
            os._exit(code)

    def _reap(self) -> None:
        while self._children or self._spare:
            # Look without reaping: as long as the zombie exists, its group id cannot belong to another process.
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                return
            kill_group(found.si_pid)
            _, status, usage = os.wait4(found.si_pid, 0)
            if self._spare and found.si_pid == self._spare[0]:
                self._spare[1].close()
                self._spare = None
            elif found.si_pid in self._children:
                self._children.remove(found.si_pid)
                cpu = usage.ru_utime + usage.ru_stime
                end = {"ended": found.si_pid, "status": status, "cpu_seconds": cpu, "max_rss": usage.ru_maxrss}
                _send(self._channel, end)


def kill_group(pid: int) -> None:
    """Kills a task and all that it started, or the task alone as long as it has not made its group."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _redirect(log: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(nothing)
    os.close(output)


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
