"""Every package that a program imports is declared for that program, and none that it does not import.

What is imported by accident, through another package, disappears by accident too.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.paths import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PYPROJECT["dependency-groups"]
EMULATOR = tomllib.loads((ROOT / "batch_emulator/pyproject.toml").read_text())["project"]
OURS = {"batch_emulator", "epydrop", "epydrop_stages", "epydrop_workstation", "main"}

CLOUD_ONLY = (
    "functions/epydrop/gcp/*.py",
    "functions/epydrop/google_errors.py",
    "functions/epydrop/stores/cloud_storage.py",
)
STAGES = ("stage_image/epydrop_stages/**/*.py",)
# The parts of epydrop that the stages import; import-linter holds them to these.
SHARED = (
    "functions/epydrop/*.py",
    *(f"functions/epydrop/{room}/**/*.py" for room in ("experiment", "formats", "stores")),
)

PROGRAMS = {  # what is declared, which files are imported from, and which of those files are left out
    "functions": (GROUPS["functions"], ("functions/**/*.py",), ()),
    "stages": ([*GROUPS["stage"], *GROUPS["storage"]], (*STAGES, *SHARED), ()),
    "workstation": (
        PYPROJECT["project"]["dependencies"],
        ("functions/epydrop/**/*.py", *STAGES, "workstation/epydrop_workstation/**/*.py"),
        CLOUD_ONLY,
    ),
    "emulator": (
        [*EMULATOR["dependencies"], *EMULATOR["optional-dependencies"]["api"]],
        ("batch_emulator/batch_emulator/**/*.py",),
        (),
    ),
}
OPTIONAL = {"epymodelingsuite"}  # on no index; the image and a person's environment may hold it
DISTRIBUTIONS_OF_OURS = {"batch-emulator"}


def files_of(patterns: tuple[str, ...]) -> set[Path]:
    """The files of this checkout that match any of the patterns."""
    return {path for pattern in patterns for path in ROOT.glob(pattern)}


@cache
def owners() -> dict[str, str]:
    """Each installed module's file, relative to where packages are installed, and the distribution it belongs to."""
    return {
        line.partition(",")[0]: canonicalize_name(distribution.metadata["Name"])
        for distribution in distributions()
        for line in (distribution.read_text("RECORD") or "").splitlines()
        if ".py," in line
    }


def owner_of(module: str) -> str | None:
    """The distribution that holds the module, or its nearest parent."""
    parts = module.split(".")
    for count in range(len(parts), 0, -1):
        path = "/".join(parts[:count])
        found = owners().get(f"{path}/__init__.py") or owners().get(f"{path}.py")
        if found:
            return found
    return None


def imported_modules(file: Path) -> Iterator[str]:
    """Every module that the file names in an import, lazy ones too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported(files: set[Path]) -> set[str]:
    """The distributions that these files import."""
    modules = {module for file in files for module in imported_modules(file)}
    foreign = {m for m in modules if m.partition(".")[0] not in OURS | OPTIONAL | sys.stdlib_module_names}
    return {owner_of(module) or f"unknown: {module}" for module in foreign}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_declares_what_it_imports_and_nothing_else(program: str) -> None:
    declared, patterns, left_out = PROGRAMS[program]
    names = {canonicalize_name(Requirement(text).name) for text in declared}

    found = imported(files_of(patterns) - files_of(left_out))

    assert sorted(found - names) == [], "imported, and not declared"
    assert sorted(names - found - DISTRIBUTIONS_OF_OURS) == [], "declared, and not imported"
