"""The archive for Cloud Functions holds what the functions run, and nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from support.paths import ROOT

FUNCTIONS = ROOT / "functions"
ROOMS = {"core", "experiment", "formats", "gcp", "service", "stores"}
TOP = {"__init__", "errors", "google_errors", "logs", "machine_types", "settings"}
DATA = {"requirements.txt", "epydrop/py.typed", "epydrop/gcp/indexes.json"}


def archived() -> set[Path]:
    """What Terraform zips: the whole folder, without caches."""
    text = (ROOT / "terraform" / "functions.tf").read_text()
    assert re.search(r'source_dir\s+= "\$\{path\.module\}/\.\./functions"', text)
    assert re.search(r'excludes\s+= \["\*\*/__pycache__/\*\*"\]', text)
    return {
        path.relative_to(FUNCTIONS)
        for path in FUNCTIONS.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def module_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_the_archive_holds_the_entry_points_and_the_rooms_of_epydrop() -> None:
    """Nothing of the command, the local cloud, the emulator, the stages or the tests."""
    files = archived()

    code = {path for path in files if path.suffix == ".py"}
    assert {str(path) for path in files - code} == DATA
    assert {path for path in code if len(path.parts) == 1} == {Path("main.py")}
    assert {path.stem for path in code if len(path.parts) == 2} == TOP
    assert {path.parts[1] for path in code if len(path.parts) > 2} == ROOMS


def test_the_functions_reach_every_module_of_the_archive() -> None:
    """By imports from main.py, lazy ones too."""
    modules = {module_of(path): FUNCTIONS / path for path in archived() if path.suffix == ".py"}
    reached: set[str] = set()
    waiting = ["main"]
    while waiting:
        name = waiting.pop()
        if name in reached or name not in modules:
            continue
        reached.add(name)
        waiting.append(name.rpartition(".")[0])  # importing a module imports its package
        for node in ast.walk(ast.parse(modules[name].read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]

    assert set(modules) - reached == set()
