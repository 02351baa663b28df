"""The data files that an experiment refers to, and which names they may have. Opens no file."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from epydrop.errors import KeyPath

NO_FILES = "a file that is dropped by itself has no data files; drop a .zip of the experiment and its data"

# Where an epydemix configuration accepts the name of a file instead of numbers, below 'model'.
_OBSERVED = ("calibration", "observed_data")
_TRANSITIONS = ("model", "transitions")
_FILE_PATHS = re.compile(r"calibration\.observed_data|model\.transitions\.\d+\.schedule")
_MAX_PART, _MAX_NAME = 255, 1000  # bytes and characters that every common file system allows

WhyMissing = Callable[[str], str]


def no_files(name: str) -> str:
    """Why a data file is not available to an experiment without a bundle."""
    return f"the file '{name}' is missing: {NO_FILES}"


def references(document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """The path and the name of every data file in an experiment. Accepts any document, also an invalid one."""
    observed = _inside(document, "model", *_OBSERVED)
    if isinstance(observed, str):
        yield ("model", *_OBSERVED), observed
    transitions = _inside(document, "model", *_TRANSITIONS)
    for index, transition in enumerate(transitions if isinstance(transitions, list) else ()):
        schedule = _inside(transition, "schedule")
        if isinstance(schedule, str):
            yield ("model", *_TRANSITIONS, index, "schedule"), schedule
    observed = _inside(document, "data", "file")
    if isinstance(observed, str):
        yield ("data", "file"), observed
    yield from _config_files(document)
    grid = _inside(document, "tasks", "grid")
    for path, values in grid.items() if isinstance(grid, Mapping) else ():
        if _FILE_PATHS.fullmatch(path) and isinstance(values, list):
            yield from (
                (("tasks", "grid", path, index), one) for index, one in enumerate(values) if isinstance(one, str)
            )


def _config_files(document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """The files of epymodelingsuite's configuration, and those that its inline parts refer to."""
    config = _inside(document, "config")
    for part, value in config.items() if isinstance(config, Mapping) else ():
        if isinstance(value, str):
            yield ("config", part), value
        else:
            yield from ((("config", part, *path), name) for path, name in named_paths(value))


def named_paths(value: object) -> Iterator[tuple[KeyPath, str]]:
    """Every text under a key that ends in ``_path``: epymodelingsuite's convention for data files."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        if isinstance(child, str) and str(key).endswith("_path"):
            yield (key,), child
        else:
            yield from (((key, *path), name) for path, name in named_paths(child))


def name_fault(name: str) -> str:
    """What is wrong with the name of a data file, or ''. The file must be in the experiment's folder or below it."""
    if not name or name.endswith("/"):
        return f"expected the name of a file, got '{name}'"
    if not name.isprintable():
        return f"the file name {name[:40]!r} contains a character that cannot be printed"
    if any(len(part.encode()) > _MAX_PART for part in name.split("/")) or len(name) > _MAX_NAME:
        return f"the file name '{name[:40]}...' is too long"
    if "://" in name:
        return f"'{name}' is a web address; the file must be in the experiment's folder or below it"
    if "\\" in name:
        return f"'{name}' contains a backslash; use '/' between folders"
    if name.startswith(("/", "~")) or re.match(r"[A-Za-z]:", name):
        return f"'{name}' is an absolute path; the file must be in the experiment's folder or below it"
    if ".." in name.split("/"):
        return f"'{name}' leads out of the experiment's folder; the file must be in that folder or below it"
    return ""


def normal_name(name: str) -> str:
    """The name as in a bundle: './data//x.csv' becomes 'data/x.csv'."""
    return posixpath.normpath(name)


def _inside(value: object, *path: str) -> object:
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
