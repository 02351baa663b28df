"""What Batch can do and this emulator cannot: rejected by its field, never ignored silently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from batch_emulator.options import ServerOptions
from batch_emulator.protocol.errors import Violation
from batch_emulator.protocol.messages import LogsPolicy
from batch_emulator.rules.docker_options import DockerOptions, UnknownOption
from batch_emulator.rules.images import command_of

_UNSUPPORTED = "is not supported by this emulator"


def unsupported(job: Any, options: ServerOptions) -> Iterator[Violation]:
    """The fields of a job that Batch would accept and this emulator does not support."""
    group, at = job.task_groups[0], "job.task_groups[0]"
    for name in ("require_hosts_file", "permissive_ssh"):
        if getattr(group, name):
            yield Violation(f"{at}.{name}", _UNSUPPORTED)
    for n, volume in enumerate(group.task_spec.volumes):
        yield from _mount(volume.mount_path, f"{at}.task_spec.volumes[{n}].mount_path")
    if job.logs_policy.destination == LogsPolicy.PATH:
        yield Violation("job.logs_policy.destination", f"PATH {_UNSUPPORTED}: logs are in the folder of its state")
    yield from _environment(group.task_spec.environment, f"{at}.task_spec.environment", options.secrets)
    for n, environment in enumerate(group.task_environments):
        yield from _environment(environment, f"{at}.task_environments[{n}]", options.secrets)
    for n, runnable in enumerate(group.task_spec.runnables):
        yield from _runnable(runnable, f"{at}.task_spec.runnables[{n}]", options)


def _runnable(runnable: Any, at: str, options: ServerOptions) -> Iterator[Violation]:
    match runnable.WhichOneof("executable"):
        case "barrier":
            yield Violation(f"{at}.barrier", f"{_UNSUPPORTED}: its tasks need not run at the same time")
        case "container":
            yield from _container(runnable.container, f"{at}.container", options)
    if runnable.background and runnable.HasField("timeout"):
        yield Violation(f"{at}.timeout", f"of a background runnable {_UNSUPPORTED}")
    yield from _environment(runnable.environment, f"{at}.environment", options.secrets)


def _container(container: Any, at: str, options: ServerOptions) -> Iterator[Violation]:
    if not command_of(container, options.entrypoints):
        yield Violation(
            f"{at}.commands",
            "the image is not pulled, so what it runs by itself is unknown: give commands, or entrypoint, "
            f"or start the emulator with --entrypoint '{container.image_uri}=COMMAND'",
        )
    for n, volume in enumerate(container.volumes):
        yield from _mount(volume.split(":")[1] if ":" in volume else volume, f"{at}.volumes[{n}]")
    if container.block_external_network:
        yield Violation(f"{at}.block_external_network", _UNSUPPORTED)
    try:
        DockerOptions.of(container)
    except UnknownOption as error:
        yield Violation(f"{at}.options", str(error))


def _mount(path: str, field: str) -> Iterator[Violation]:
    """Nothing is mounted, but an existing path on this machine can take the place of the volume."""
    if not Path(path).exists():
        yield Violation(field, f"nothing is mounted: create {path!r} on this machine to use it instead of the volume")


def _environment(environment: Any, at: str, secrets: Mapping[str, str]) -> Iterator[Violation]:
    if environment.HasField("encrypted_variables"):
        yield Violation(f"{at}.encrypted_variables", _UNSUPPORTED)
    for name, secret in sorted(environment.secret_variables.items()):
        if secret not in secrets:
            yield Violation(
                f"{at}.secret_variables[{name!r}]",
                f"the emulator was started without a value of {secret!r}: give it in the file of --secrets",
            )
