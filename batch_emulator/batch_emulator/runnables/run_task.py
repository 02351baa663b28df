"""Runs one task: its runnables in order, under Batch's rules of which failure counts.

``python -m batch_emulator.runnables.run_task PLAN``, in the process that the supervisor watches. Whatever a step
starts stays in that process's group, so that limits and signals reach it. It imports little, because every
task waits for them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from batch_emulator.engine import task_process
from batch_emulator.runnables.plan import SECRETS, Step, read_plan

_TIMED_OUT = 50005
_NOT_EXECUTABLE = 126  # the exit codes of a shell that cannot run a command
_NOT_FOUND = 127
_GRACE = 1.0  # seconds between SIGTERM and SIGKILL for a step
_LARGEST_STATUS = 255


def main(argv: Sequence[str]) -> int:
    """Runs the plan; returns the exit code of the task, which is that of the first step that failed."""
    steps = read_plan(Path(argv[0]))
    secrets = json.loads(os.environ.pop(SECRETS, "{}"))
    if len(steps) == 1 and steps[0].in_process:
        os.environ.update(_variables(steps[0], secrets))
        return task_process.run(steps[0].command)
    return _reportable(_Task(secrets).run(steps))


class _Task:
    """Runs the steps of one try. After SIGTERM, which the current step receives as well, it starts no further step."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets
        self._failure = 0
        self._terminated = False
        self._background: list[tuple[Step, subprocess.Popen[bytes]]] = []

    def run(self, steps: Sequence[Step]) -> int:
        signal.signal(signal.SIGTERM, self._terminate)
        for step in steps:
            if self._terminated:
                return 128 + signal.SIGTERM
            if not self._failure or step.always_run:
                self._start(step)
        self._end_background()
        return 128 + signal.SIGTERM if self._terminated else self._failure

    def _terminate(self, *_: object) -> None:
        self._terminated = True

    def _start(self, step: Step) -> None:
        try:
            env = {**os.environ, **_variables(step, self._secrets)}
            process = subprocess.Popen(step.command, stdin=subprocess.DEVNULL, env=env)
        except OSError as error:
            _log(f"{step.name} could not be started: {error}")
            self._record(step, _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE)
            return
        if step.background:
            self._background.append((step, process))
        else:
            self._record(step, _wait(step, process))

    def _record(self, step: Step, code: int) -> None:
        if code and not step.ignore_exit_status and not self._failure:
            self._failure = code

    def _end_background(self) -> None:
        """Ends the background steps that still run, which is no failure; one that failed before counts."""
        for step, process in self._background:
            code = process.poll()
            if code is not None:
                self._record(step, _exit_code(code))
        alive = [process for _, process in self._background if process.poll() is None]
        _end_trees(alive)


def _wait(step: Step, process: subprocess.Popen[bytes]) -> int:
    try:
        return _exit_code(process.wait(step.timeout))
    except subprocess.TimeoutExpired:
        _log(f"{step.name} ran for {step.timeout:.10g} s, the limit of its timeout")
        _end_trees([process])
        return _TIMED_OUT


def _end_trees(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ends processes and all their descendants."""
    if processes:
        from batch_emulator.engine.processes import end_trees  # noqa: PLC0415 - psutil is slow to import, and most tasks do not need it

        end_trees([process.pid for process in processes], _GRACE)
    for process in processes:
        process.wait()


def _variables(step: Step, secrets: Mapping[str, str]) -> dict[str, str]:
    return {**step.env, **{name: secrets[secret] for name, secret in step.secrets.items()}}


def _exit_code(code: int) -> int:
    return code if code >= 0 else 128 - code


def _reportable(code: int) -> int:
    """Writes an exit code that no process can end with to a file, where the supervisor reads it."""
    if code > _LARGEST_STATUS:
        task_process.exit_code_file(Path.cwd()).write_text(str(code))
        return 1
    return code


def _log(text: str) -> None:
    print(f"batch-emulator: {text}", file=sys.stderr, flush=True)  # noqa: T201 - standard error is the task's log


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
