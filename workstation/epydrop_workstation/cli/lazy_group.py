"""Subcommands that are imported when they are called: `epydrop --help` must not load what runs experiments."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any, ClassVar, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

FOLDER = Path(__file__).parent
PACKAGE = __name__.rpartition(".")[0]
MARKUP: Final = "rich"


class LazyGroup(TyperGroup):
    """A group whose ``lazy`` maps each command to ``module:name`` in this folder: a function, or a typer app."""

    lazy: ClassVar[dict[str, str]] = {}
    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        """The commands in the order of the table, which is the order that a person needs them in."""
        return list(self.lazy)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's signature
        """The command, imported now; in a listing only its name and first line, read from its source."""
        if cmd_name not in self.lazy:
            return None
        module, _, name = self.lazy[cmd_name].partition(":")
        if self._listing:
            return TyperCommand(cmd_name, help=_help_in_source(FOLDER / f"{module}.py", name))
        target = getattr(importlib.import_module(f"{PACKAGE}.{module}"), name)
        if isinstance(target, typer.Typer):
            return get_command(target)
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=MARKUP)
        app.command(cmd_name)(target)
        return get_command(app)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The list of commands, without importing any."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


def _help_in_source(path: Path, name: str) -> str:
    """The first line of a command's docstring, or the ``help`` of a typer app."""
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.FunctionDef(name=found) if found == name:
                return (ast.get_docstring(node) or "").partition("\n")[0]
            case ast.Assign(targets=[ast.Name(id=found)], value=ast.Call(keywords=keywords)) if found == name:
                return next((ast.literal_eval(each.value) for each in keywords if each.arg == "help"), "")
            case _:
                pass
    raise LookupError(f"{path.name} defines no command {name}")
