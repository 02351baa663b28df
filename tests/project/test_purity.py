"""What decides imports nothing that could wait, fail or cost money."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import epydrop

FOLDER = Path(epydrop.__file__).parent
PURE = [path.relative_to(FOLDER) for room in ("core", "formats") for path in sorted((FOLDER / room).glob("*.py"))]
HARMLESS = {
    "__future__", "bisect", "collections.abc", "dataclasses", "datetime", "enum", "functools", "hashlib", "itertools",
    "json", "operator", "pathlib", "re", "traceback", "typing",
}  # fmt: skip
PLAIN = {"epydrop.errors", "epydrop.machine_types"}
FORMATS_ONLY = {"pydantic", "pydantic_core"}  # serialization, and how an index set is stored


@pytest.mark.parametrize("module", PURE, ids=str)
def test_a_pure_module_imports_only_pure_modules(module: Path) -> None:
    """Read from its source, so that no lazy import escapes."""
    tree = ast.parse((FOLDER / module).read_text())

    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    rooms = ("epydrop.formats",) if module.parts[0] == "formats" else ("epydrop.formats", "epydrop.core")

    ours = {name for name in imported if name.startswith(rooms)}
    allowed = HARMLESS | PLAIN | (FORMATS_ONLY if module.parts[0] == "formats" else set())
    assert imported - ours <= allowed
