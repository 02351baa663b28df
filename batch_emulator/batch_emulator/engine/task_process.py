"""The process of a task, around its command: watch for the supervisor's death, run the command, report its exit code.

``python -m batch_emulator.engine.task_process LIFELINE COMMAND...``, or called in a fork of the fork server.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import runpy
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_PYTHON_MODULE = ("python", "-m")


def main(argv: Sequence[str]) -> int:
    """Runs COMMAND in a process of its own; LIFELINE is an inherited pipe."""
    lifeline = int(argv[0])
    for handle in _inherited():
        os.set_inheritable(handle, False)  # a leftover child must keep neither the lock nor the pipes open
    die_with(lifeline)
    return run(argv[1:])


def die_with(*lifelines: int) -> None:
    """Starts a thread that kills this process group when any of these pipes is closed at its other end.

    The system closes it even if the holder of that end is killed, so no task outlives its supervisor.
    """
    threading.Thread(target=_watch, args=lifelines, name="lifeline", daemon=True).start()


def _watch(*lifelines: int) -> None:
    poll = select.poll()
    for lifeline in lifelines:
        poll.register(lifeline, select.POLLIN)
    poll.poll()
    os.killpg(0, signal.SIGKILL)


def run(command: Sequence[str]) -> int:
    """Runs a command and returns its exit code: ``python -m MODULE`` in this process, anything else as a child."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)  # both go to one log, in order, and people follow it
    try:
        if tuple(command[:2]) == _PYTHON_MODULE:
            return _exit_code(run_module(command[2], list(command[3:])))
        return _run_program(command)
    except SystemExit as end:
        return _exit_code(end.code)
    except BaseException:  # noqa: BLE001 - the process ends here; its log has to say why
        traceback.print_exc()
        return 1
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()


def run_module(name: str, args: list[str]) -> object:
    """Calls the module's ``main(args)`` and returns its result; a module without one is run as __main__."""
    target = entry_module(name)
    sys.argv = [target, *args]
    module = importlib.import_module(target)
    if hasattr(module, "main"):
        return module.main(args)
    runpy.run_module(target, run_name="__main__", alter_sys=True)
    return 0


def exit_code_file(folder: Path) -> Path:
    """The file for an exit code above 255, beside the task's working folder."""
    return folder.with_name(f"{folder.name}.exit")


def entry_module(name: str) -> str:
    """The module that ``python -m name`` runs: for a package, its ``__main__``."""
    found = importlib.util.find_spec(name)
    return f"{name}.__main__" if found and found.submodule_search_locations is not None else name


def _run_program(command: Sequence[str]) -> int:
    program = [sys.executable, *command[1:]] if command[0] == "python" else list(command)
    code = subprocess.run(program, check=False, stdin=subprocess.DEVNULL).returncode
    if code >= 0:
        return code
    # The child died of a signal. This process does too, so that its parent sees the same end.
    signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
    os.kill(os.getpid(), -code)
    return 128 - code


def _exit_code(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, int):
        return value if 0 <= value <= 255 else value & 255 or 1
    print(value, file=sys.stderr)  # noqa: T201 - what the interpreter does for sys.exit("text")
    return 1


def _inherited() -> list[int]:
    return [handle for handle in range(3, 256) if _is_inheritable(handle)]


def _is_inheritable(handle: int) -> bool:
    try:
        return os.get_inheritable(handle)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
