"""What decides imports nothing that could wait, fail or cost money."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import epydrop

FOLDER = Path(epydrop.__file__).parent
PURE = {
    "attempts",
    "decide",
    "effects",
    "events",
    "facts",
    "indices",
    "jobs",
    "names",
    "orders",
    "run",
    "situation",
    "steps",
    "table",
}
HARMLESS = {
    "__future__", "bisect", "collections.abc", "dataclasses", "datetime", "enum", "functools", "hashlib", "itertools",
    "json", "operator", "re", "typing", "pydantic_core",
}  # fmt: skip
ALLOWED = HARMLESS | {f"epydrop.{name}" for name in PURE} | {"epydrop.errors", "epydrop.machines", "epydrop"}


@pytest.mark.parametrize("module", sorted(PURE))
def test_a_pure_module_imports_only_pure_modules(module: str) -> None:
    """Read from its source, so that no lazy import escapes."""
    tree = ast.parse((FOLDER / f"{module}.py").read_text())

    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}

    assert imported <= ALLOWED
