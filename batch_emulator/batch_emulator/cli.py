"""The command ``batch-emulator``: starts a server, and stops it in order at a signal."""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from batch_emulator.engine.errors import EngineError, InvalidInputError, SetupError, UnavailableError
from batch_emulator.engine.options import usable_cores

if TYPE_CHECKING:
    from batch_emulator.options import ServerOptions
    from batch_emulator.server import Served

_CHECK_EVERY = 0.5  # seconds between two looks at whether tasks are still run

# As in sysexits(3): EX_USAGE, EX_DATAERR, EX_TEMPFAIL.
_EXIT_CODES: dict[type[EngineError], int] = {SetupError: 64, InvalidInputError: 65, UnavailableError: 75}

State = Annotated[
    Path,
    typer.Option("--state", metavar="DIR", help="The folder for jobs, tasks and logs; a later start continues there."),
]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="The port for gRPC; 0 is any free one.")]
RestPort = Annotated[int, typer.Option("--rest-port", min=0, max=65535, help="The port for REST; 0 is any free one.")]
Parallelism = Annotated[
    int | None,
    typer.Option("--parallelism", "-p", min=1, metavar="N", help="Tasks at a time, over all jobs; default: all cores."),
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
    typer.Option("--preload", metavar="MODULE", help="A Python module that tasks run, imported once. Repeatable."),
]
Faults = Annotated[
    list[str] | None,
    typer.Option(
        "--mischief", metavar="WORD=VALUE", help="A fault for all jobs, e.g. preempt=0-3 or drop=50. Repeatable."
    ),
]


class MissingPackage(SetupError):
    """A package of the extra ``api`` is not installed; ``package`` is its import name."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"the package {package} is missing; it comes with the extra api: pip install 'batch-emulator[api]'"
        )
        self.package = package


def run_server(
    state: State = Path("batch-api"),
    port: Port = 8095,
    rest_port: RestPort = 8096,
    parallelism: Parallelism = None,
    env: Env = None,
    secrets: Secrets = None,
    entrypoint: Entrypoint = None,
    preload: Preload = None,
    mischief: Faults = None,
) -> None:
    """Emulate Cloud Batch on this machine: tasks are local processes.

    Example:
      batch-emulator --state batch-api --mischief preempt=0
    """
    try:
        # Lazy: Google's libraries take a second to import, which --help need not wait for.
        from batch_emulator.options import ServerOptions  # noqa: PLC0415
        from batch_emulator.server import serve  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingPackage(str(error.name)) from error
    options = ServerOptions(
        state=state,
        grpc_port=port,
        rest_port=rest_port,
        env=_pairs(env, "--env"),
        secrets=_secrets(secrets),
        entrypoints=_commands(entrypoint),
        preload=tuple(preload or ()),
        faults=_pairs(mischief, "--mischief"),
        parallelism=parallelism or usable_cores(),
    )
    with serve(options) as served:
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        print(_welcome(options, served), flush=True)  # noqa: T201 - a command prints
        while not stopped.wait(_CHECK_EVERY):
            if served.worker.failure is not None:
                raise served.worker.failure
    print("Stopped; the next start continues unfinished tasks.", file=sys.stderr)  # noqa: T201 - a command prints


def set_up_logs(*, debug: bool) -> None:
    """Writes the emulator's logs to standard error: warnings or, with ``debug``, every call."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("batch_emulator")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if debug else logging.WARNING)
    logger.propagate = False


def main() -> NoReturn:
    """Runs the command line; errors that are raised on purpose become a sentence and an exit code."""
    set_up_logs(debug=bool(os.environ.get("BATCH_EMULATOR_DEBUG")))
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
    app.command(name="batch-emulator")(run_server)
    try:
        app()
    except EngineError as error:
        print(f"batch-emulator: {error}", file=sys.stderr)  # noqa: T201 - a command prints
        sys.exit(next((code for kind, code in _EXIT_CODES.items() if isinstance(error, kind)), 1))
    sys.exit(0)


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

Notifications go to {_notification_target(options)}.
Ctrl-C stops it."""


def _notification_target(options: ServerOptions) -> str:
    host = os.environ.get("PUBSUB_EMULATOR_HOST")
    return f"the Pub/Sub emulator at {host}" if host else str(options.state / "notifications.jsonl")


def _pairs(words: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for word in words or ():
        name, is_pair, value = word.partition("=")
        if not name or not is_pair:
            raise InvalidInputError(f"{option} {word!r} is not of the form NAME=VALUE")
        pairs[name] = value
    return pairs


def _commands(words: list[str] | None) -> dict[str, tuple[str, ...]]:
    commands = {}
    for image, command in _pairs(words, "--entrypoint").items():
        try:
            commands[image] = tuple(shlex.split(command))
        except ValueError as error:
            raise InvalidInputError(f"--entrypoint {command!r} cannot be split into words: {error}") from error
    return commands


def _secrets(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        content = json.loads(file.read_text())
    except OSError as error:
        raise SetupError(f"the file of --secrets cannot be read: {error}") from error
    except ValueError as error:
        raise InvalidInputError(f"{file}: it is not JSON: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise InvalidInputError(f"{file}: expected one JSON object whose values are strings")
    return content
