"""``epydrop batch-api`` as a person starts and stops it."""

from __future__ import annotations

import json
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
from support.batch_jobs import PATIENCE, a_job, finished, grpc_client, is_alive, state_of, until

from epydrop.errors import BadInput, ConfigurationError
from epydrop_workstation.cli.batch_api import batch_api

PLACE = "projects/p/locations/us-central1"
COMMAND = [sys.executable, "-m", "epydrop_workstation.cli", "batch-api"]
ANY_PORTS = ["--port", "0", "--rest-port", "0"]


@pytest.fixture
def start(tmp_path):
    """Starts the command in the folder of the test; it is gone at the end of the block."""

    @contextmanager
    def started(*words):
        process = subprocess.Popen(
            [*COMMAND, *ANY_PORTS, *words],
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order(start, number):
    """Exit code 0; no task lives on."""
    with start() as server:
        client = grpc_client(server)
        job = client.create_job(parent=PLACE, job=a_job("sleep 600", tasks=2))
        until(lambda: state_of(client, job.name) == "RUNNING")
        below = psutil.Process(server.pid).children(recursive=True)

        server.process.send_signal(number)

        assert server.process.wait(PATIENCE) == 0
        assert not any(is_alive(process.pid) for process in below)


def test_a_server_that_is_killed_takes_its_tasks_along_and_the_next_one_goes_on(start, tmp_path):
    """At no cost to their retries."""
    gate = tmp_path / "gate"
    with start() as server:
        client = grpc_client(server)
        job = client.create_job(parent=PLACE, job=a_job(f"test -e {gate} || sleep 600", tasks=2), job_id="job-1")
        until(lambda: state_of(client, job.name) == "RUNNING")
        below = psutil.Process(server.pid).children(recursive=True)
        server.process.kill()
        until(lambda: not any(is_alive(process.pid) for process in below))
    gate.touch()

    with start() as server:
        assert finished(grpc_client(server), job.name).status.state.name == "SUCCEEDED"


def test_it_listens_on_this_machine_only(start):
    """On two ports, which it prints."""
    with start() as server:
        connections = psutil.Process(server.pid).net_connections()
        listening = [connection.laddr for connection in connections if connection.status == "LISTEN"]

        assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
        assert all(str(address.port) in server.said for address in listening)
        assert len(listening) == 2


def test_the_options_reach_the_tasks(start, tmp_path):
    """Variables, secrets, entrypoints, mischief."""
    secret = "projects/p/secrets/s/versions/1"
    (tmp_path / "secrets.json").write_text(json.dumps({secret: "hush"}))
    words = ["--env", "A=1=2", "--secrets", "secrets.json", "--entrypoint", "tool=sh -c", "--mischief", "exit-9=1"]
    with start(*words, "--state", "here", "--parallelism", "1") as server:
        tool = {"container": {"image_uri": "tool", "commands": ["echo $A ${#S}"]}}
        variables = {"secret_variables": {"S": secret}}
        job = finished(
            grpc_client(server),
            grpc_client(server).create_job(parent=PLACE, job=a_job(tool, tasks=2, environment=variables)).name,
        )

    assert dict(job.status.task_groups["group0"].counts) == {"SUCCEEDED": 1, "FAILED": 1}
    log = tmp_path / "here" / ".epydrop" / "logs" / job.uid / "00000-0.log"
    assert log.read_text() == "1=2 4\n"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mischief": ["fire=1"]}, BadInput, "mischief fire"),
        ({"mischief": ["fire"]}, BadInput, "--mischief 'fire' is no pair"),
        ({"env": ["=1"]}, BadInput, "--env '=1' is no pair"),
        ({"entrypoint": ["image"]}, BadInput, "--entrypoint 'image' is no pair"),
        ({"entrypoint": ["image='"]}, BadInput, "--entrypoint"),
        ({"secrets": Path("none.json")}, ConfigurationError, "none.json"),
        ({"secrets": Path("list.json")}, BadInput, "list.json"),
        ({"secrets": Path("broken.json")}, BadInput, "broken.json"),
        ({"state": Path("list.json")}, ConfigurationError, "list.json"),
    ],
)
def test_what_is_wrong_is_one_clear_message(tmp_path, monkeypatch, options, error, message):
    """Which the command prints, with the error's exit code."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "broken.json").write_text("{")

    with pytest.raises(error, match=message):
        batch_api(port=0, rest_port=0, **options)


def test_a_folder_that_is_served_already_is_refused(start, tmp_path):
    """Its server is named; the exit code says: try again later."""
    with start() as server:
        done = subprocess.run(
            [*COMMAND, *ANY_PORTS], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    assert done.returncode == 75
    assert f"process {server.pid} " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["google.cloud", "starlette", "uvicorn"])
def test_without_the_extra_the_command_says_what_to_install(tmp_path, module):
    """In one line."""
    program = (
        f"import sys; sys.modules[{module!r}] = None; sys.argv = ['epydrop', 'batch-api']\n"
        "from epydrop_workstation.cli.main import main; main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False
    )

    assert done.returncode == 64
    assert len(done.stderr.splitlines()) == 1
    assert module in done.stderr
    assert "pip install 'epydrop[batch-api]'" in done.stderr


def test_the_other_commands_do_not_import_what_the_extra_brings():
    """It would take them a second longer."""
    heavy = {"google.cloud.batch_v1", "google.protobuf", "grpc", "starlette", "uvicorn"}
    program = f"import epydrop_workstation.cli.main, sys; print({heavy} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"
