"""The README says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from support.factories import NOW, RUN_ID
from support.paths import ROOT

from epydrop.core.diagram import state_diagram
from epydrop.core.events import Command, Refused
from epydrop.service.parse import parse_kick
from epydrop_workstation.cli.main import app

README = (ROOT / "README.md").read_text()


def test_the_state_diagram_is_the_one_printed_from_the_table() -> None:
    """``make diagram`` prints what must stand there."""
    assert f"```mermaid\n{state_diagram()}\n```" in README


def test_every_command_of_the_readme_exists() -> None:
    """And every subcommand is in the README."""
    shown = set(re.findall(r"^    epydrop ([\w-]+)", README, re.MULTILINE))

    groups = {group.typer_instance.info.name for group in app.registered_groups}
    assert shown == groups | {command.callback.__name__.replace("_", "-") for command in app.registered_commands}


def test_every_make_target_of_the_readme_exists() -> None:
    """The two commands for strangers, and those for developers."""
    targets = set(re.findall(r"^([\w.-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"`?make ([\w.-]+)", README)) <= targets


def test_every_path_of_the_readme_exists() -> None:
    """A stranger finds what the table of folders names."""
    listed = re.findall(r"^\| (`.*?) \|", README, re.MULTILINE)
    paths = [name for cell in listed for name in re.findall(r"`([^`]+)`", cell)]

    assert paths
    folder = ROOT
    for name in paths:
        folder = (ROOT / name).parent if "/" in name else folder
        assert (folder / Path(name).name).exists(), name


def test_every_kick_of_the_readme_is_one() -> None:
    """As a person copies it, with the id of a run."""
    shown = re.findall(r"`(\{\".*?\})`", README)

    asked = [parse_kick(text.replace("RUN_ID", RUN_ID).encode(), "kick-1", NOW) for text in shown]

    assert [type(event) for event in asked if isinstance(event, Refused)] == []
    assert {type(event) for event in asked} == set(get_args(Command))
