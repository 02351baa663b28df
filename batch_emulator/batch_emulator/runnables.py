"""A task at work: its runnables one after the other, by Batch's rules of which failure matters.

``python -m batch_emulator.runnables PLAN``, in the process that the supervisor watches; whatever a step
starts stays in that process's group, so limits and signals reach it. Imports little: every task pays for it.
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
from batch_emulator.task_plan import SECRETS, Step, read_plan

_TIMED_OUT = 50005
_CANNOT_BE_RUN = 126  # as a shell says it
_NOT_FOUND = 127
_PATIENCE = 1.0  # seconds between SIGTERM and SIGKILL for a step
_LARGEST_STATUS = 255


def main(argv: Sequence[str]) -> int:
    """The exit code of the task: that of the first step that failed."""
    steps = read_plan(Path(argv[0]))
    secrets = json.loads(os.environ.pop(SECRETS, "{}"))
    if len(steps) == 1 and steps[0].in_process:
        os.environ.update(_variables(steps[0], secrets))
        return task_process.run(steps[0].command)
    return _reported(_Task(secrets).run(steps))


class _Task:
    """The steps of one try. Asked to end, it lets the step at work end, which was asked too, and begins no other."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets
        self._failure = 0
        self._must_end = False
        self._background: list[tuple[Step, subprocess.Popen[bytes]]] = []

    def run(self, steps: Sequence[Step]) -> int:
        signal.signal(signal.SIGTERM, self._end)
        for step in steps:
            if self._must_end:
                return 128 + signal.SIGTERM
            if not self._failure or step.always_run:
                self._begin(step)
        self._end_background()
        return 128 + signal.SIGTERM if self._must_end else self._failure

    def _end(self, *_: object) -> None:
        self._must_end = True

    def _begin(self, step: Step) -> None:
        try:
            env = {**os.environ, **_variables(step, self._secrets)}
            process = subprocess.Popen(step.command, stdin=subprocess.DEVNULL, env=env)
        except OSError as error:
            _say(f"{step.name} could not be started: {error}")
            self._note(step, _NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_BE_RUN)
            return
        if step.background:
            self._background.append((step, process))
        else:
            self._note(step, _waited(step, process))

    def _note(self, step: Step, code: int) -> None:
        if code and not step.ignore_exit_status and not self._failure:
            self._failure = code

    def _end_background(self) -> None:
        """A background step that has failed by itself counts; one that still runs is ended, and does not."""
        for step, process in self._background:
            code = process.poll()
            if code is not None:
                self._note(step, _exit_code(code))
        alive = [process for _, process in self._background if process.poll() is None]
        _end_trees(alive)


def _waited(step: Step, process: subprocess.Popen[bytes]) -> int:
    try:
        return _exit_code(process.wait(step.timeout))
    except subprocess.TimeoutExpired:
        _say(f"{step.name} ran for {step.timeout:.10g} s, the limit of its timeout")
        _end_trees([process])
        return _TIMED_OUT


def _end_trees(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ends processes and all that they started."""
    if processes:
        from batch_emulator.engine.processes import end_trees  # noqa: PLC0415 - most tasks never need it

        end_trees([process.pid for process in processes], _PATIENCE)
    for process in processes:
        process.wait()


def _variables(step: Step, secrets: Mapping[str, str]) -> dict[str, str]:
    return {**step.env, **{name: secrets[secret] for name, secret in step.secrets.items()}}


def _exit_code(code: int) -> int:
    return code if code >= 0 else 128 - code


def _reported(code: int) -> int:
    """An exit code that no process can end with goes beside the working folder."""
    if code > _LARGEST_STATUS:
        task_process.report_of(Path.cwd()).write_text(str(code))
        return 1
    return code


def _say(words: str) -> None:
    print(f"epydrop: {words}", file=sys.stderr, flush=True)  # noqa: T201 - the log of the task


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
