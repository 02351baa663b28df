"""What a task's process does around its command: watch for the supervisor's death, run, and tell how it went.

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
    """Runs the command of a process that was started for it."""
    lifeline = int(argv[0])
    for handle in _inherited():
        os.set_inheritable(handle, False)  # what the task starts must keep neither the lock nor the pipes open
    die_with(lifeline)
    return run(argv[1:])


def die_with(*lifelines: int) -> None:
    """From now on the end of any of these pipes, as at their other holder's death, kills this whole process group."""
    threading.Thread(target=_watch, args=lifelines, name="lifeline", daemon=True).start()


def _watch(*lifelines: int) -> None:
    poll = select.poll()
    for lifeline in lifelines:
        poll.register(lifeline, select.POLLIN)
    poll.poll()
    os.killpg(0, signal.SIGKILL)


def run(command: Sequence[str]) -> int:
    """The exit code of a command. ``python -m MODULE`` runs in this process, anything else in one of its own."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)  # both go to one log, which people follow
    try:
        if tuple(command[:2]) == _PYTHON_MODULE:
            return _exit_code(run_module(command[2], list(command[3:])))
        return _run_program(command)
    except SystemExit as end:
        return _exit_code(end.code)
    except BaseException:  # noqa: BLE001 - whatever it was, it belongs in the log, and the process ends here
        traceback.print_exc()
        return 1
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()


def run_module(name: str, args: list[str]) -> object:
    """What the module's ``main(args)`` returns, or a plain run of a module without one."""
    target = entry_module(name)
    sys.argv = [target, *args]
    module = importlib.import_module(target)
    if hasattr(module, "main"):
        return module.main(args)
    runpy.run_module(target, run_name="__main__", alter_sys=True)
    return 0


def report_of(folder: Path) -> Path:
    """Where a task leaves an exit code above 255, beside the folder that it works in."""
    return folder.with_name(f"{folder.name}.exit")


def entry_module(name: str) -> str:
    """The module that ``python -m name`` runs: of a package its ``__main__``."""
    found = importlib.util.find_spec(name)
    return f"{name}.__main__" if found and found.submodule_search_locations is not None else name


def _run_program(command: Sequence[str]) -> int:
    program = [sys.executable, *command[1:]] if command[0] == "python" else list(command)
    code = subprocess.run(program, check=False, stdin=subprocess.DEVNULL).returncode
    if code >= 0:
        return code
    # Died of a signal: so does this process, for its own end to look the same.
    signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
    os.kill(os.getpid(), -code)
    return 128 - code


def _exit_code(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, int):
        return value if 0 <= value <= 255 else value & 255 or 1
    print(value, file=sys.stderr)  # noqa: T201 - as the interpreter does for sys.exit("...")
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
