"""Servers that tests start on this machine: on a free port of 127.0.0.1, ready when the block begins, gone after it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Self

HOST = "127.0.0.1"
PATIENCE = 600.0  # seconds until a server is ready; only a hang takes so long, however busy the machine is
TRIES = 3  # another process may take the free port before the server does


class Addressed:
    """What listens on a port of this machine."""

    port: int

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """The address as a URL."""
        return f"http://{self.address}"


@dataclass
class Server(Addressed):
    """A running server; its log is the file ``log``."""

    port: int
    log: Path
    process: subprocess.Popen[bytes]

    def is_listening(self) -> bool:
        """Whether somebody takes connections."""
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def has_said(self, words: str) -> bool:
        """Whether the log holds these words."""
        return words in self.log.read_text(errors="replace")


class InThreads(Addressed):
    """A server in threads of this process; its ``handler`` finds it as ``owner``."""

    handler: ClassVar[type[BaseHTTPRequestHandler]]

    def __enter__(self) -> Self:
        handler = type("Handler", (self.handler,), {"owner": self})
        self._server = ThreadingHTTPServer((HOST, 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port


def free_port() -> int:
    """A port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(
    command: Callable[[int], Sequence[object]],
    is_ready: Callable[[Server], bool] = Server.is_listening,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """The server that the command starts on the port it is given."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, TRIES + 1):
            server = _start(command, Path(folder) / f"{number}.log", variables or {})
            try:
                if _becomes_ready(server, is_ready):
                    yield server
                    return
            finally:
                _stop(server)
        raise AssertionError(f"the server did not start:\n{server.log.read_text(errors='replace')[-3000:]}")


def _start(command: Callable[[int], Sequence[object]], log: Path, variables: Mapping[str, str]) -> Server:
    port = free_port()
    leash = [sys.executable, str(Path(__file__).with_name("leash.py"))]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*leash, *map(str, command(port))],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **variables},
        )
    return Server(port, log, process)


def _becomes_ready(server: Server, is_ready: Callable[[Server], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.process.poll() is None:
        if is_ready(server):
            return True
        time.sleep(0.05)
    return False


def _stop(server: Server) -> None:
    server.process.stdin.close()
    server.process.wait(PATIENCE)
