"""The supervisor's side of the fork server: starts it, requests processes, and replaces it when it dies."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from batch_emulator.engine.errors import SetupError, UnavailableError
from batch_emulator.engine.launchers import Ended, Launch, ended_of, lost
from batch_emulator.engine.processes import signal_group

_READY_WITHIN = 300.0  # seconds; importing scientific packages from a cold disk takes long
_ANSWER_WITHIN = 60.0


class ForkLauncher:
    """Forks tasks from a process that has imported ``module`` and ``more`` once: they start in milliseconds.

    Linux only: macOS's own libraries do not survive a fork.
    """

    def __init__(self, module: str, env: Mapping[str, str], more: Sequence[str] = ()) -> None:
        self._module = module
        self._more = tuple(more)
        self._env = dict(env)
        self._lock = -1
        self._lifeline: tuple[int, int] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._received = b""
        self._running: set[int] = set()
        self._ended: list[Ended] = []

    @property
    def server_pid(self) -> int | None:
        """The process id of the fork server, if it runs."""
        return self._server.pid if self._server else None

    def open(self, lock: int) -> None:
        """Remembers the lock; the server starts with the first task."""
        self._lock = lock
        self._lifeline = self._lifeline or os.pipe()

    def warm_up(self) -> None:
        """Starts the server, which imports the tasks' code."""
        if self._channel is None:
            self._start_server()

    def start(self, launch: Launch) -> int:
        """Requests a process from the server; starts the server first if there is none."""
        request = {
            "command": launch.command,
            "env": dict(launch.env),
            "cwd": str(launch.cwd),
            "log": str(launch.log),
        }
        line = json.dumps(request).encode() + b"\n"
        # A child that its server forked but died before reporting is unknown here, and dies with the server.
        answer = self._request(line) or self._request(line) or {"failed": "two fork servers in a row ended at once"}
        if "failed" in answer:
            raise UnavailableError(f"no process could be started: {answer['failed']}")
        pid: int = answer["pid"]
        if all(ended.pid != pid for ended in self._ended):  # a quick task may have ended before its start is known
            self._running.add(pid)
        return pid

    def wait(self, timeout: float) -> list[Ended]:
        """The processes that ended; those of a server that died count as lost with their machine."""
        if self._channel is None:
            if not self._ended:
                time.sleep(timeout)
        else:
            try:
                self._receive(0.0 if self._ended else timeout)
            except (ConnectionError, EOFError):
                self._lose_server()
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """Ends the server and its children."""
        self._lose_server()
        self._ended.clear()
        if self._lifeline:
            for end in self._lifeline:
                os.close(end)
            self._lifeline = None

    def _request(self, line: bytes) -> dict[str, Any] | None:
        """The server's answer; None if it died before answering."""
        channel = self._channel or self._start_server()
        try:
            channel.sendall(line)
            return self._answer("pid", "failed", within=_ANSWER_WITHIN)
        except (ConnectionError, EOFError):
            self._lose_server()
            return None

    def _start_server(self) -> socket.socket:
        if self._lifeline is None:
            raise RuntimeError("the launcher was not opened")
        self._channel, theirs = socket.socketpair()
        handles = (theirs.fileno(), self._lifeline[0], self._lock)
        words = [*map(str, handles), self._module, *self._more]
        command = [sys.executable, "-P", "-m", "batch_emulator.engine.forkserver", *words]
        with theirs:
            # A session of its own: Ctrl-C in the terminal is for the supervisor, which ends the server in order.
            self._server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, env=self._env, pass_fds=handles, start_new_session=True
            )
        try:
            answer = self._answer("ready", "refused", within=_READY_WITHIN)
        except (ConnectionError, EOFError) as error:
            self._lose_server()
            raise SetupError(f"the fork server ended while it imported {self._module}; see its output above") from error
        if "refused" in answer:
            self._lose_server()
            raise SetupError(answer["refused"])
        return self._channel

    def _answer(self, *keys: str, within: float) -> dict[str, Any]:
        """The server's answer to the last request; ended children that it reports meanwhile are kept for ``wait``."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            for message in self._receive(deadline - time.monotonic()):
                if any(key in message for key in keys):
                    return message
        self._lose_server()
        raise UnavailableError(f"the fork server of {self._module} did not answer within {within:.0f} seconds")

    def _receive(self, timeout: float) -> list[dict[str, Any]]:
        """All messages that have arrived. Raises EOFError if the server is gone."""
        if self._channel is None:
            raise EOFError("there is no fork server")
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        if not poll.poll(max(0.0, timeout) * 1000):
            return []
        data = self._channel.recv(1 << 16)
        if not data:
            raise EOFError("it closed its channel")
        *lines, self._received = (self._received + data).split(b"\n")
        messages = [json.loads(line) for line in lines]
        for message in messages:
            if "ended" in message:
                self._running.discard(message["ended"])
                self._ended.append(
                    ended_of(message["ended"], message["status"], message["cpu_seconds"], message["max_rss"])
                )
        return messages

    def _lose_server(self) -> None:
        """Kills the server and its children, whose ends only the server could see."""
        if self._channel:
            self._channel.close()
        if self._server:
            signal_group(self._server.pid, signal.SIGKILL)
            self._server.wait()
        self._ended += lost(sorted(self._running))
        self._running.clear()
        self._channel = self._server = None
        self._received = b""
