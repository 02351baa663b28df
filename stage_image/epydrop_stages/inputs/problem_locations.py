"""Gives a suite's problems the line and column that they speak of in the file as it was dropped.

A suite knows only values, and names them in words: ``model: parameters: 'betta' is not a parameter``. The words
that are keys or values of the file lead to the place: those before a colon, in quotes, or joined by dots.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

from epydrop.errors import BadInput, Problem
from epydrop.experiment.bundle.archive import open_bundle
from epydrop.experiment.text.source import Source, read_source
from epydrop.formats.names import DROPPED
from epydrop.stores.port import ObjectStore

Steps = tuple[str | int, ...]

_WORD = re.compile(r"'([^']+)'|([A-Za-z_]\w*(?:\.\w+|\[\d+\])*)(?=:)|([A-Za-z_]\w*(?:\.\w+|\[\d+\])+)")
_STEP = re.compile(r"\w[\w+-]*")


def with_places(error: BadInput, store: ObjectStore) -> BadInput:
    """The same problems, each where it stands in the dropped file, as far as its words tell."""
    source = _dropped(store)
    return error if source is None else BadInput(*(placed(problem, source) for problem in error.problems))


def _dropped(store: ObjectStore) -> Source | None:
    """The experiment file as it was dropped, out of its bundle if it came in one."""
    for info in store.list(DROPPED):
        name = info.name.rsplit("/", 1)[-1]
        data = store.read(info.name)
        if name.endswith(".zip"):
            bundle = open_bundle(io.BytesIO(data), len(data), name)
            return read_source(bundle.experiment, f"{name}/{bundle.experiment_name}")
        return read_source(data, name)
    return None


def placed(problem: Problem, source: Source) -> Problem:
    """The same problem where its words stand in that file; one that has a line already stays."""
    if problem.line is not None:
        return problem
    path = _path_of(problem.message, source.plain())
    if not path:
        return Problem(problem.message, source.file, hint=problem.hint)
    place = source.key_place(path)
    return Problem(problem.message, source.file, place.line, place.column, problem.hint)


def _path_of(message: str, document: dict[str, Any]) -> Steps:
    """The deepest path that the words of the message spell below the section it begins with."""
    section, colon, rest = message.partition(": ")
    if not colon or section not in document:
        section, rest = "", message
    root: Steps = (section,) if section else ()
    below = [(path, value) for path, value in _everything(document, ()) if path[: len(root)] == root]
    words = [steps for found in _WORD.findall(rest) for steps in _readings("".join(found))]
    paths = {path for path, _ in below}
    spelled = [
        _extended(path, words[start + 1 :], paths)
        for start, steps in enumerate(words)
        for path, value in below
        if path[-len(steps) :] == steps or steps == (value,)
    ]
    return max(spelled, key=len, default=root)


def _extended(path: Steps, words: Sequence[Steps], paths: set[Steps]) -> Steps:
    """The path, made longer by each of the words that leads on from it."""
    for steps in words:
        if (*path, *steps) in paths:
            path = (*path, *steps)
    return path


def _readings(word: str) -> Iterator[Steps]:
    """A word as one key, and as a path of several."""
    yield (word,)
    steps = tuple(int(step) if step.isdigit() else step for step in _STEP.findall(word))
    if len(steps) > 1:
        yield steps


def _everything(value: Any, path: Steps) -> Iterator[tuple[Steps, Any]]:
    """Every path of the document with what stands there, outer ones first."""
    yield path, value
    if isinstance(value, dict | list):
        for step, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _everything(child, (*path, step))
