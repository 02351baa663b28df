"""The page about the emulator is right: its blocks are run, in their order, as a reader would."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from support.batch_jobs import PATIENCE, until
from support.paths import ROOT

from batch_emulator.cli import run_server
from batch_emulator.engine.faults import WORDS

PAGE = (ROOT / "docs" / "batch-emulator.md").read_text()
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
START = "batch-emulator"


class Reader:
    """Follows the page in a folder: starts what is started, exports what is exported, runs the rest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: subprocess.Popen[str] | None = None
        self._exports: list[str] = []
        self._ports = {"8095": a_port(), "8096": a_port()}
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "CLOUDSDK_CONFIG": str(folder / "gcloud"),
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        }
        self._environment.pop("PUBSUB_EMULATOR_HOST", None)

    def follow(self, kind: str, block: str) -> str:
        """What the block prints; it must succeed."""
        for known, free in self._ports.items():
            block = block.replace(known, free)
        if block.startswith(START):
            return self._start(block.strip())
        if kind == "sh":
            self._exports += [line for line in block.splitlines() if line.startswith("export ")]
            block = "\n".join(["set -e", *self._exports, block])
        program = ["bash", "-c", block] if kind == "sh" else [sys.executable, "-c", block]
        done = subprocess.run(
            program,
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def stop(self) -> None:
        """By SIGTERM, as the page says."""
        if self._server:
            self._server.send_signal(signal.SIGTERM)
            assert self._server.wait(PATIENCE) == 0

    def _start(self, command: str) -> str:
        self.stop()
        ports = f"--port {self._ports['8095']} --rest-port {self._ports['8096']}"
        said = self._folder / "said"
        with said.open("w") as file:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "batch_emulator", *command.split()[1:], *ports.split()],
                cwd=self._folder,
                env=self._environment,
                stdout=file,
                text=True,
            )
        until(lambda: "Ctrl-C stops it" in said.read_text() or self._server.poll() is not None)
        assert self._server.poll() is None
        return said.read_text()


def a_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return str(listening.getsockname()[1])


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_block_of_the_page_does_what_it_says(tmp_path):
    """In their order, with ports that are free."""
    reader = Reader(tmp_path)
    try:
        said = [reader.follow(kind, block) for kind, block in BLOCKS]
    finally:
        reader.stop()

    everything = "\n".join(said)
    assert "Cloud Batch v1 on this machine" in said[0]
    assert "SUCCEEDED {'SUCCEEDED': 2}" in everything
    assert "jobs/by-curl/taskGroups/group0/tasks/0" in everything
    assert (tmp_path / "my-batch" / ".epydrop" / "logs").is_dir()


def test_every_fault_is_on_the_page():
    """And no other."""
    table = PAGE.split("| word | value |")[1].split("\n\n", maxsplit=1)[0]

    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == WORDS.split(", ")


def test_the_options_of_the_page_are_those_of_the_command():
    """Each is explained, and each that is explained exists; docker's own are mentioned, too."""
    app = typer.Typer(add_completion=False)
    app.command()(run_server)
    command = typer.main.get_command(app)
    options = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}

    assert set(re.findall(r"`(?:batch-emulator )?(--[a-z-]+)", PAGE)) - {"--memory", "--help"} == options - {"--state"}
