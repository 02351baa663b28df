"""The pages for people name what exists: files, commands, options, exit codes, variables, keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import typer
from pydantic import BaseModel
from support.factories import NOW, RUN_ID
from support.pages import PAGES, code_spans, commands, links, yaml_blocks
from support.paths import ROOT

from epydrop.core.causes import Cause
from epydrop.core.events import Command, Refused
from epydrop.errors import ExitCode
from epydrop.experiment import Experiment, read_experiment
from epydrop.service.parse import parse_kick
from epydrop_workstation.cli.main import app
from epydrop_workstation.reference.state_diagram import state_diagram

EPYDROP: Any = typer.main.get_command(app)
# Subcommands are imported when they are called; here all of them are.
EPYDROP.commands = {name: EPYDROP.get_command(None, name) for name in EPYDROP.list_commands(None)}
PROGRAMS = ("functions", "stage_image", "workstation", "batch_emulator")
FOLDERS = (*PROGRAMS, "terraform", "tests", "benchmarks", "examples", "docs", "requirements", ".ci", ".github")


# -- links and paths -----------------------------------------------------------------------------


def test_every_link_of_a_page_leads_to_a_file() -> None:
    """Links to other sites are not followed."""
    assert {
        (page, link) for page, text in PAGES.items() for link in links(text) if not (page.parent / link).exists()
    } == set()


def test_every_path_of_a_page_exists() -> None:
    """Whatever begins with one of our folders."""
    words = {(page, word) for page, text in PAGES.items() for span in code_spans(text) for word in span.split()}
    paths = {
        (page, word) for page, word in words if word.partition("/")[0] in FOLDERS and not re.search(r"[*{<]", word)
    }

    assert len(paths) > 50
    assert {(page, path) for page, path in paths if not (ROOT / path).exists()} == set()


def test_every_page_can_be_reached_from_the_readme() -> None:
    """By following links; a decision by way of their list."""
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        waiting += {(page.parent / link).resolve() for link in links(PAGES[page]) if link.endswith(".md")} - reached

    assert set(PAGES) - reached == set()


# -- commands ------------------------------------------------------------------------------------


def test_every_command_of_a_page_exists() -> None:
    """With every option that is shown."""
    calls = [(page, call) for page, text in PAGES.items() for call in commands(text, "epydrop")]

    assert len(calls) > 50
    assert [(page, call) for page, call in calls if not is_command(call)] == []


def is_command(words: list[str]) -> bool:
    command, rest = EPYDROP, list(words)
    while rest and getattr(command, "commands", None):
        command = command.commands.get(rest.pop(0))
        if command is None:
            return False
    ours = rest[: rest.index("--")] if "--" in rest else rest
    known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    return {word.partition("=")[0] for word in ours if word.startswith("-")} <= known


def test_the_page_of_the_command_shows_every_subcommand() -> None:
    """Those of groups, too."""
    shown = {tuple(call[:2]) for call in commands(read("docs/command.md"), "epydrop")}
    groups = {
        name: command.commands for name, command in EPYDROP.commands.items() if getattr(command, "commands", None)
    }

    assert {call[0] for call in shown if call} == set(EPYDROP.commands)
    assert {call for call in shown if call[:1] and call[0] in groups} == {
        (name, inner) for name, inners in groups.items() for inner in inners
    }


def test_every_make_target_of_a_page_exists() -> None:
    """The names before a colon in the Makefile."""
    targets = set(re.findall(r"^([\w.-]+):", read("Makefile"), re.MULTILINE))

    assert {call[0] for text in PAGES.values() for call in commands(text, "make")} - targets == set()


# -- exit codes and variables --------------------------------------------------------------------


def test_the_exit_codes_of_the_command_are_those_of_its_help() -> None:
    """The table of the page, and the last line of ``epydrop --help``."""
    table = read("docs/command.md").split("| exit code |")[1].split("\n\n")[0]

    assert re.findall(r"^\| (\d+) ", table, re.MULTILINE) == re.findall(r"\b\d+\b", EPYDROP.epilog)


def test_the_exit_codes_of_a_stage_are_those_of_the_code() -> None:
    """In their order."""
    table = read("docs/command.md").split("| stage exit code |")[1].split("\n\n")[0]

    assert [int(code) for code in re.findall(r"^\| (\d+) ", table, re.MULTILINE)] == list(ExitCode)


def test_every_variable_of_a_page_is_read_by_the_code() -> None:
    """Ours, and those of others that we read; each is a text somewhere in the code."""
    code = "".join(path.read_text() for program in PROGRAMS for path in (ROOT / program).rglob("*.py"))
    pattern = r"\b(?:EPYDROP_[A-Z_]+|EPYDEMIX_DATA|GITHUB_PAT)\b"
    named = {name for text in PAGES.values() for name in re.findall(pattern, text)}

    assert {name for name in named if f'"{name}"' not in code} == set()


# -- what the pages say of runs ------------------------------------------------------------------


def test_the_state_diagram_is_the_one_printed_from_the_table() -> None:
    """``make diagram`` prints what docs/architecture.md must show."""
    assert f"```mermaid\n{state_diagram()}\n```" in read("docs/architecture.md")


def test_the_page_of_the_architecture_has_every_cause_of_a_task() -> None:
    """``stuck`` and ``deleted`` are causes of a run only."""
    assert {str(cause) for cause in Cause} - {"stuck", "deleted"} <= set(code_spans(read("docs/architecture.md")))


def test_every_kick_of_the_pages_is_one() -> None:
    """As a person copies it, with the id of a run; and the pages show each kind."""
    spans = [span for text in PAGES.values() for span in code_spans(text) if span.startswith('{"')]
    shown = [span for span in spans if "RUN_ID" in span or '"start"' in span]

    asked = [parse_kick(text.replace("RUN_ID", RUN_ID).encode(), "kick-1", NOW) for text in shown]

    assert [event for event in asked if isinstance(event, Refused)] == []
    assert {type(event) for event in asked} == set(get_args(Command))


# -- the experiment file -------------------------------------------------------------------------


def test_every_experiment_of_a_page_is_valid() -> None:
    """A block with only ``outputs`` is a configuration for rerun-output."""
    blocks = [(page, text) for page, page_text in PAGES.items() for text in yaml_blocks(page_text)]

    for page, text in blocks:
        if not text.startswith("outputs:"):
            read_experiment(text.encode(), page.name, "page")


def test_the_reference_has_every_key_of_the_experiment_file() -> None:
    """In the order of the schema, each once."""
    table = read("docs/experiment-reference.md").split("<!-- keys -->")[1].split("<!-- /keys -->")[0]

    assert re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE) == list(keys_of(Experiment))


def keys_of(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield prefix + name
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from keys_of(kind, f"{prefix}{name}.")


def read(name: str) -> str:
    return PAGES.get(ROOT / name) or (ROOT / name).read_text()
