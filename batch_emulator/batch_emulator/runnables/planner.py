"""Turns a Batch job into the engine's Work, and its runnables into the steps of each task."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from batch_emulator.engine.errors import InvalidInputError
from batch_emulator.engine.faults import Faults
from batch_emulator.engine.work import Hold, Retries, Work
from batch_emulator.options import ServerOptions
from batch_emulator.protocol.messages import LifecyclePolicy
from batch_emulator.rules.docker_options import DockerOptions
from batch_emulator.rules.images import command_of
from batch_emulator.runnables.plan import SECRETS, Step, write_plan

TASK_MODULE = "batch_emulator.runnables.run_task"
_PYTHON = frozenset({"python", "python3"})


class Planner:
    """Writes what the tasks of a job need into a folder per job: the plan and the texts of its scripts."""

    def __init__(self, folder: Path, options: ServerOptions) -> None:
        self._folder = folder
        self._options = options

    def prepare(self, job: Any, uid: str, created: float, faults: Faults) -> Work:
        """Prepares a job. Raises InvalidInputError if the value of one of its secrets is unknown.

        ``created`` is the job's creation in seconds since 1970, from which a hold is counted.
        """
        group = job.task_groups[0]
        spec = group.task_spec
        folder = self._folder / uid
        folder.mkdir(parents=True, exist_ok=True)
        plan = folder / "plan.json"
        write_plan(plan, self._steps(spec.runnables, folder))
        return Work(
            job_id=uid,
            task_count=group.task_count,
            parallelism=group.parallelism,
            command=("python", "-m", TASK_MODULE, str(plan)),
            env={
                **spec.environments,
                **self._variables(spec.environment),
                "BATCH_JOB_UID": uid,
                SECRETS: json.dumps(self._secrets(spec.runnables)),
            },
            task_env=[self._variables(environment) for environment in group.task_environments],
            memory_mib=_memory_mib(spec),
            max_run_duration=_seconds(spec.max_run_duration) or math.inf,
            retries=_retries(spec),
            priority=job.priority,
            hold=_hold(faults, created),
            faults=faults.of_tasks,
        )

    def clean_up(self, uid: str) -> None:
        """Removes what ``prepare`` wrote."""
        shutil.rmtree(self._folder / uid, ignore_errors=True)

    def _steps(self, runnables: Sequence[Any], folder: Path) -> list[Step]:
        steps = [self._step(runnable, n, folder) for n, runnable in enumerate(runnables)]
        # The task's own process can run a step only if nothing has to be limited or decided after it.
        only = steps[0]
        if len(steps) == 1 and self._is_preloaded(only) and not (only.timeout or only.ignore_exit_status):
            return [replace(only, in_process=True)]
        return [replace(step, command=_with_our_python(step.command)) for step in steps]

    def _is_preloaded(self, step: Step) -> bool:
        match step.command:
            case ("python", "-m", module, *_):
                return module in self._options.preload
        return False

    def _step(self, runnable: Any, n: int, folder: Path) -> Step:
        env = dict(runnable.environment.variables)
        if runnable.WhichOneof("executable") == "script":
            command = _script_command(runnable.script, folder / f"script-{n}")
        else:
            command = command_of(runnable.container, self._options.entrypoints)
            env.update(DockerOptions.of(runnable.container).env)
        return Step(
            name=f"runnable {n}" + (f" ({runnable.display_name})" if runnable.display_name else ""),
            command=command,
            env=env,
            secrets=dict(runnable.environment.secret_variables),
            timeout=_seconds(runnable.timeout) or None,
            background=runnable.background,
            ignore_exit_status=runnable.ignore_exit_status,
            always_run=runnable.always_run,
        )

    def _variables(self, environment: Any) -> dict[str, str]:
        secrets = {name: self._secret(secret) for name, secret in environment.secret_variables.items()}
        return {**environment.variables, **secrets}

    def _secrets(self, runnables: Sequence[Any]) -> dict[str, str]:
        named = {secret for runnable in runnables for secret in runnable.environment.secret_variables.values()}
        return {secret: self._secret(secret) for secret in sorted(named)}

    def _secret(self, name: str) -> str:
        if name not in self._options.secrets:
            raise InvalidInputError(f"the emulator was started without a value for the secret {name!r}")
        return self._options.secrets[name]


def _script_command(script: Any, path: Path) -> tuple[str, ...]:
    """Runs a script by the interpreter of its first line, else by /bin/sh, as Batch does. It need not be executable."""
    if script.WhichOneof("command") == "text":
        path.write_text(script.text)
        return (*_interpreter(script.text), str(path))
    try:
        with Path(script.path).open(encoding="utf-8", errors="replace") as file:
            return (*_interpreter(file.readline()), script.path)
    except OSError:
        return (script.path,)  # cannot be started either; the task's log says so


def _interpreter(text: str) -> list[str]:
    line = text.partition("\n")[0]
    return line.removeprefix("#!").split(maxsplit=1) if line.startswith("#!") else ["/bin/sh"]


def _with_our_python(command: tuple[str, ...]) -> tuple[str, ...]:
    """Replaces an image's python by the one that runs the server, with the packages installed for it."""
    return (sys.executable, *command[1:]) if command[0] in _PYTHON else command


def _memory_mib(spec: Any) -> int:
    """The largest --memory of the containers; without one, the job's memory_mib."""
    limits = [
        DockerOptions.of(runnable.container).memory_mib
        for runnable in spec.runnables
        if runnable.WhichOneof("executable") == "container"
    ]
    return max((limit for limit in limits if limit), default=spec.compute_resource.memory_mib)


def _retries(spec: Any) -> Retries:
    """Without a policy every failure is retried (TaskSpec.lifecycle_policies)."""
    if not spec.lifecycle_policies:
        return Retries(spec.max_retry_count, all_but=True)
    policy = spec.lifecycle_policies[0]
    codes = frozenset(policy.action_condition.exit_codes)
    return Retries(spec.max_retry_count, codes, all_but=policy.action == LifecyclePolicy.FAIL_TASK)


def _hold(faults: Faults, created: float) -> Hold | None:
    if faults.hold is None:
        return None
    state, seconds = faults.hold
    return Hold(state, math.inf if seconds is None else created + seconds)


def _seconds(duration: Any) -> float:
    return float(duration.ToNanoseconds() / 1e9)
