"""The command ``batch-emulator`` as a person starts and stops it, and its alias ``epydrop batch-api``."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import typer
from support.batch_jobs import PATIENCE, a_job, finished, grpc_client, is_alive, state_of, until

from batch_emulator.cli import MissingPackage, run_server
from epydrop.errors import BadInput, ConfigurationError, RetryableError
from epydrop_workstation.cli.batch_api import batch_api

PLACE = "projects/p/locations/us-central1"


@pytest.fixture
def start(tmp_path):
    """Starts the command in the folder of the test; it is gone at the end of the block."""

    @contextmanager
    def started(*words):
        process = subprocess.Popen(
            [sys.executable, "-m", "batch_emulator", "--port", "0", "--rest-port", "0", *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            lines = list(iter(process.stdout.readline, "Ctrl-C stops it.\n"))
            said = "".join(lines)
            address = re.search(r"gRPC +(\S+)", said)[1]
            yield SimpleNamespace(process=process, said=said, grpc_address=address, pid=process.pid)
        finally:
            process.kill()
            process.communicate(timeout=PATIENCE)

    return started


def test_a_killed_server_takes_its_tasks_along_and_the_next_one_continues_until_ctrl_c(start, tmp_path):
    """Without loss of a retry; the options reach the tasks; no port is open to other machines."""
    gate, secret = tmp_path / "gate", "projects/p/secrets/s/versions/1"
    (tmp_path / "secrets.json").write_text(json.dumps({secret: "hush"}))
    words = ["--env", "A=1=2", "--secrets", "secrets.json", "--entrypoint", "tool=sh -c", "--mischief", "exit-9=1"]
    words += ["--state", "here", "--parallelism", "2"]
    tool = {"container": {"image_uri": "tool", "commands": [f"echo $A ${{#S}}; test -e {gate} || sleep 600"]}}
    job = a_job(tool, tasks=2, environment={"secret_variables": {"S": secret}})
    with start(*words) as server:
        connections = psutil.Process(server.pid).net_connections()
        listening = [connection.laddr for connection in connections if connection.status == "LISTEN"]
        assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
        assert all(str(address.port) in server.said for address in listening)
        assert len(listening) == 2
        with pytest.raises(RetryableError, match=f"process {server.pid} "):
            batch_api(state=tmp_path / "here", port=0, rest_port=0)

        client = grpc_client(server)
        job = client.create_job(parent=PLACE, job=job, job_id="job-1")
        until(lambda: state_of(client, job.name) == "RUNNING")
        below = psutil.Process(server.pid).children(recursive=True)
        server.process.kill()
        until(lambda: not any(is_alive(process.pid) for process in below))
    gate.touch()

    with start(*words) as server:
        client = grpc_client(server)
        job = finished(client, job.name)
        assert dict(job.status.task_groups["group0"].counts) == {"SUCCEEDED": 1, "FAILED": 1}
        log = tmp_path / "here" / ".epydrop" / "logs" / job.uid / "00000-0.log"
        assert log.read_text().endswith("1=2 4\n")
        below = psutil.Process(server.pid).children(recursive=True)

        server.process.send_signal(signal.SIGINT)

        assert server.process.wait(PATIENCE) == 0
        assert not any(is_alive(process.pid) for process in below)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mischief": ["fire=1"]}, BadInput, "mischief fire"),
        ({"mischief": ["fire"]}, BadInput, "--mischief 'fire'"),
        ({"env": ["=1"]}, BadInput, "--env '=1'"),
        ({"entrypoint": ["image"]}, BadInput, "--entrypoint 'image'"),
        ({"entrypoint": ["image='"]}, BadInput, "--entrypoint"),
        ({"secrets": Path("none.json")}, ConfigurationError, "none.json"),
        ({"secrets": Path("list.json")}, BadInput, "list.json"),
        ({"secrets": Path("broken.json")}, BadInput, "broken.json"),
        ({"state": Path("list.json")}, ConfigurationError, "list.json"),
    ],
)
def test_what_is_wrong_is_one_clear_message(tmp_path, monkeypatch, options, error, message):
    """The alias raises epydrop's errors, whose exit codes the command uses."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "broken.json").write_text("{")

    with pytest.raises(error, match=message):
        batch_api(port=0, rest_port=0, **options)


def test_the_command_of_its_own_ends_with_the_same_exit_codes(tmp_path):
    """One line on standard error, and no traceback."""
    command = [sys.executable, "-m", "batch_emulator", "--secrets", "none.json"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert done.returncode == 64
    assert re.fullmatch(r"batch-emulator: .*none\.json.*\n", done.stderr)


def test_without_the_extra_the_command_says_what_to_install(monkeypatch):
    """Each command names the extra of its own distribution."""
    monkeypatch.setitem(sys.modules, "batch_emulator.server", None)

    with pytest.raises(MissingPackage, match=r"batch_emulator\.server is missing.*pip install 'batch-emulator\[api\]'"):
        run_server()
    with pytest.raises(ConfigurationError, match=r"server is missing.*pip install 'epydrop\[batch-api\]'"):
        batch_api()


def test_the_alias_has_the_same_options_and_help(capsys):
    """But for the name in the example."""

    def help_of(function):
        app = typer.Typer(rich_markup_mode=None)
        app.command(name="it")(function)
        with pytest.raises(SystemExit):
            app(["--help"], prog_name="it")
        return capsys.readouterr().out

    assert help_of(batch_api).replace("epydrop batch-api", "batch-emulator").split() == help_of(run_server).split()


def test_the_alias_shows_the_logs_of_the_emulator(monkeypatch):
    """Every call, if asked to."""
    monkeypatch.setenv("EPYDROP_DEBUG", "1")
    with pytest.raises(BadInput):
        batch_api(env=["wrong"])
    assert logging.getLogger("batch_emulator.api.calls").getEffectiveLevel() == logging.DEBUG

    monkeypatch.delenv("EPYDROP_DEBUG")
    with pytest.raises(BadInput):
        batch_api(env=["wrong"])
    assert logging.getLogger("batch_emulator.api.calls").getEffectiveLevel() == logging.WARNING


def test_the_command_imports_what_the_extra_brings_only_when_it_serves():
    """It would take --help a second longer."""
    heavy = {"google.cloud.batch_v1", "google.protobuf", "grpc", "starlette", "uvicorn"}
    program = f"import batch_emulator.cli, sys; print({heavy} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"
