"""Runs a command that ends with the process that started it: ``python leash.py COMMAND ...``, its input an open pipe.

Servers that a test starts must not outlive it, however it ends; they are ended by the id of their own process.
"""

from __future__ import annotations

import subprocess
import sys
import threading

PATIENCE = 60.0  # seconds between SIGTERM and SIGKILL


def main(command: list[str]) -> int:
    """Ends the command when the input ends; returns its exit code."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def end() -> None:
        sys.stdin.buffer.read()
        child.terminate()
        try:
            child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()

    threading.Thread(target=end, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
