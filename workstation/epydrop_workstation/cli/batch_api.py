"""``epydrop batch-api``: the emulator of Cloud Batch."""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batch_emulator.engine.options import usable_cores
from epydrop.errors import BadInput, ConfigurationError, Problem
from epydrop.logs import set_up_logs

if TYPE_CHECKING:  # Google's libraries are there only with the extra, and take a second to import
    from batch_emulator.options import ServerOptions
    from batch_emulator.server import Served

_LOOK_EVERY = 0.5  # seconds

State = Annotated[
    Path,
    typer.Option("--state", metavar="DIR", help="The folder of jobs, tasks and logs; the next start goes on there."),
]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="The port of gRPC; 0 is any that is free.")]
RestPort = Annotated[
    int, typer.Option("--rest-port", min=0, max=65535, help="The port of REST; 0 is any that is free.")
]
Parallelism = Annotated[
    int | None,
    typer.Option(
        "--parallelism", "-p", min=1, metavar="N", help="Tasks at a time, of all jobs; all cores unless given."
    ),
]
Env = Annotated[
    list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="A variable for every task. Repeatable.")
]
Secrets = Annotated[
    Path | None,
    typer.Option("--secrets", metavar="FILE", help='JSON: {"projects/P/secrets/S/versions/V": "its value", ...}'),
]
Entrypoint = Annotated[
    list[str] | None,
    typer.Option("--entrypoint", metavar="IMAGE=COMMAND", help="What an image runs by itself. Repeatable."),
]
Preload = Annotated[
    list[str] | None,
    typer.Option(
        "--preload", metavar="MODULE", help="A Python module that tasks start with, imported once. Repeatable."
    ),
]
Trouble = Annotated[
    list[str] | None,
    typer.Option(
        "--mischief", metavar="WORD=VALUE", help="Trouble for all jobs, e.g. preempt=0-3 or drop=50. Repeatable."
    ),
]


def batch_api(
    state: State = Path("batch-api"),
    port: Port = 8095,
    rest_port: RestPort = 8096,
    parallelism: Parallelism = None,
    env: Env = None,
    secrets: Secrets = None,
    entrypoint: Entrypoint = None,
    preload: Preload = None,
    mischief: Trouble = None,
) -> None:
    """Emulate Cloud Batch on this machine: tasks are local processes.

    Example:
      epydrop batch-api --state batch-api --mischief preempt=0
    """
    set_up_logs(as_json=False, level=logging.DEBUG if os.environ.get("EPYDROP_DEBUG") else logging.WARNING)
    try:
        from batch_emulator.options import ServerOptions  # noqa: PLC0415 - needs the extra
        from batch_emulator.server import serve  # noqa: PLC0415 - needs the extra
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the package {error.name} is missing: this command needs the extra batch-api, "
            "for example by pip install 'epydrop[batch-api]'"
        ) from error
    options = ServerOptions(
        state=state,
        grpc_port=port,
        rest_port=rest_port,
        env=_pairs(env, "--env"),
        secrets=_secrets(secrets),
        entrypoints=_commands(entrypoint),
        preload=tuple(preload or ()),
        mischief=_pairs(mischief, "--mischief"),
        parallelism=parallelism or usable_cores(),
    )
    with serve(options) as served:
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        print(_welcome(options, served), flush=True)
        while not stopped.wait(_LOOK_EVERY):
            if served.engine.failure is not None:
                raise served.engine.failure
    print("Stopped; unfinished tasks go on at the next start.", file=sys.stderr)


def _welcome(options: ServerOptions, served: Served) -> str:
    return f"""Cloud Batch v1 on this machine
  gRPC   {served.grpc_address}
  REST   {served.rest_url}
  logs   {served.folder / "logs"}/JOB_UID/

For gcloud:
  export CLOUDSDK_API_ENDPOINT_OVERRIDES_BATCH={served.rest_url}/
  export CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true
  export CLOUDSDK_CORE_PROJECT=any-project

For Python:
  client = batch_v1.BatchServiceClient(
      transport="rest", credentials=AnonymousCredentials(), client_options={{"api_endpoint": "{served.rest_url}"}})
or over gRPC:
  client = batch_v1.BatchServiceClient(
      transport=BatchServiceGrpcTransport(channel=grpc.insecure_channel("{served.grpc_address}")))
{_where_notifications_go(options)}
Ctrl-C stops it."""


def _where_notifications_go(options: ServerOptions) -> str:
    host = os.environ.get("PUBSUB_EMULATOR_HOST")
    where = f"the Pub/Sub emulator at {host}" if host else options.state / "notifications.jsonl"
    return f"\nNotifications go to {where}."


def _pairs(words: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for word in words or ():
        name, is_pair, value = word.partition("=")
        if not name or not is_pair:
            raise BadInput(Problem(f"{option} {word!r} is no pair joined by '='"))
        pairs[name] = value
    return pairs


def _commands(words: list[str] | None) -> dict[str, tuple[str, ...]]:
    commands = {}
    for image, command in _pairs(words, "--entrypoint").items():
        try:
            commands[image] = tuple(shlex.split(command))
        except ValueError as error:
            raise BadInput(Problem(f"--entrypoint {command!r} cannot be split into words: {error}")) from error
    return commands


def _secrets(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        content = json.loads(file.read_text())
    except OSError as error:
        raise ConfigurationError(f"the file of --secrets cannot be read: {error}") from error
    except ValueError as error:
        raise BadInput(Problem(f"it is not JSON: {error}", file=str(file))) from error
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise BadInput(Problem("expected one JSON object whose values are texts", file=str(file)))
    return content
