"""The data files that an experiment refers to, and which names they may have. Opens none of them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]

NO_FILES = "an experiment without a bundle carries no data; put both into a .zip"

# Where an epydemix configuration takes the name of a file instead of numbers, below 'model'.
_OBSERVED = ("calibration", "observed_data")
_TRANSITIONS = ("model", "transitions")
_FILE_PATHS = re.compile(r"calibration\.observed_data|model\.transitions\.\d+\.schedule")
_MAX_PART, _MAX_NAME = 255, 1000  # bytes and characters that every file system takes

WhyMissing = Callable[[str], str]


def no_files(name: str) -> str:
    """Why a file cannot be had when an experiment comes alone."""
    return f"the file '{name}' is not here: {NO_FILES}"


def references(document: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Every file name in an experiment, and the path to it. Takes any document, also one that is otherwise wrong."""
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


def _config_files(document: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """The files of epymodelingsuite's configuration, and those that an inline part of it names."""
    config = _inside(document, "config")
    for part, value in config.items() if isinstance(config, Mapping) else ():
        if isinstance(value, str):
            yield ("config", part), value
        else:
            yield from ((("config", part, *path), name) for path, name in named_paths(value))


def named_paths(value: object) -> Iterator[tuple[Path, str]]:
    """Every text below a key that ends in ``_path``: that is how epymodelingsuite names data files."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        if isinstance(child, str) and str(key).endswith("_path"):
            yield (key,), child
        else:
            yield from (((key, *path), name) for path, name in named_paths(child))


def name_fault(name: str) -> str:
    """What is wrong with the name of a data file, or nothing. It must lie beside the experiment or below."""
    if not name or name.endswith("/"):
        return "expected the name of a file"
    if not name.isprintable():
        return f"the file name {name[:40]!r} holds a character that cannot be printed"
    if any(len(part.encode()) > _MAX_PART for part in name.split("/")) or len(name) > _MAX_NAME:
        return f"'{name[:40]}...' is too long a name"
    if "://" in name:
        return f"'{name}' is a web address; the file must lie beside the experiment or in a folder there"
    if "\\" in name:
        return f"'{name}' has a backslash; folders are divided by '/'"
    if name.startswith(("/", "~")) or re.match(r"[A-Za-z]:", name):
        return f"'{name}' is an absolute path; the file must lie beside the experiment or in a folder there"
    if ".." in name.split("/"):
        return f"'{name}' leads out of the experiment's folder; the file must lie beside the experiment or below"
    return ""


def normal_name(name: str) -> str:
    """The name as a bundle has it: './data//x.csv' is 'data/x.csv'."""
    return posixpath.normpath(name)


def _inside(value: object, *path: str) -> object:
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
