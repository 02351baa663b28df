"""The text of an experiment file to plain values, and back to the line and column of any of them.

Knows YAML and ``--set key=value``, and nothing of what the keys mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import Event
from ruamel.yaml.reader import ReaderError

from epydrop.errors import BadInput, Problem
from epydrop.experiment.text.yaml_nodes import MAX_BYTES, MAX_DEPTH, Builder, Entry, Node, Place
from epydrop.experiment.text.yaml_scalars import short

MAX_PROBLEMS = 100
SETTING = "--set"  # stands for the file in problems with a setting from the command line
OPEN_ENDED = (("tasks", "grid"), ("tasks", "lhs", "ranges"))  # their keys have dots in them

Path = tuple[str | int, ...]


@dataclass
class Source:
    """A file that holds a mapping, and the problems that did not stop its reading."""

    file: str
    root: Node
    problems: list[Problem]

    def plain(self) -> dict[str, Any]:
        """The values in Python's own types; a new copy each time."""
        return cast("dict[str, Any]", self.root.plain())

    def place(self, path: Path) -> Place:
        """Where the value of this path stands, or the innermost there is around it."""
        return self._walk(path)[1]

    def key_place(self, path: Path) -> Place:
        """Where the last key of this path stands, or the innermost there is around it."""
        return self._walk(path)[0]

    def _walk(self, path: Path) -> tuple[Place, Place]:
        node, key = self.root, self.root.place
        for step in path:
            entry = _child(node, step)
            if entry is None:
                # what is missing in a section is told at the section's name, where a person looks first
                return key, key
            key, node = entry
        return key, node.place


def read_source(text: bytes, file: str, settings: Sequence[str] = ()) -> Source:
    """The mapping in a YAML text, after settings of the form ``dotted.key=value``.

    Raises BadInput when the text is too large, not UTF-8, not YAML, empty, or anything but a mapping.
    """
    root, problems = parse(text, file)
    if root is None or root.value is None:
        raise BadInput(*problems, Problem("the file is empty", file, 1, 1))
    if not isinstance(root.value, dict):
        message = f"expected keys and values, such as 'exp_id: flu', got {describe(root.plain())}"
        raise BadInput(*problems, root.place.problem(message))
    source = Source(file, root, problems)
    for setting in settings:
        _apply(source, setting)
    return source


def source_of(document: Mapping[str, Any], name: str) -> Source:
    """A mapping that comes from no file: its problems have no lines."""
    place = Place(name)
    return Source(name, _node_of(document, place), [])


def located(problem: Problem, source: Source, *, at_key: bool = False) -> Problem:
    """The problem with the file, line and column that its ``path`` leads to.

    It points at the value, or with ``at_key`` at the key in front of it; where the file has no such path, at the key of
    the nearest section around it. A problem that has a line stays as it is; one without a path gets the file only.
    """
    if problem.line is not None:
        return problem
    if not problem.path:
        return replace(problem, file=source.file)
    place = source.key_place(problem.path) if at_key else source.place(problem.path)
    return replace(problem, file=place.file, line=place.line, column=place.column)


def _node_of(value: object, place: Place) -> Node:
    if isinstance(value, Mapping):
        return Node({str(key): Entry(place, _node_of(child, place)) for key, child in value.items()}, place)
    if isinstance(value, list):
        return Node([_node_of(child, place) for child in value], place)
    return Node(value, place)


def first_of(problems: Sequence[Problem]) -> list[Problem]:
    """As many problems as a person wants to see at once."""
    more = len(problems) - MAX_PROBLEMS
    return [*problems[:MAX_PROBLEMS], *([Problem(f"and {more} more problems like these")] if more > 0 else [])]


def describe(value: object) -> str:
    """A value as a person would call it in 'expected ..., got ...'."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, list | tuple):
        return "a list"
    return short(repr(value))


def _child(node: Node, step: str | int) -> Entry | None:
    if isinstance(node.value, dict):
        return node.value.get(step)
    if isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return Entry(item.place, item)
    return None


# -- settings ----------------------------------------------------------------------------------


def _apply(source: Source, setting: str) -> None:
    name, equals, text = setting.partition("=")
    path = _setting_path(name.strip())
    if not equals or not all(path) or len(path) > MAX_DEPTH:
        source.problems.append(
            Problem(f"expected key=value, got '{short(setting)}'", SETTING, hint="such as run.spot=true")
        )
        return
    try:
        value, problems = parse(text.encode("utf-8", "surrogateescape"), SETTING, has_lines=False)
        source.problems.extend(problems)
        source.root = _replaced(source.root, path, value or Node(None, Place(SETTING)))
    except BadInput as error:
        source.problems.extend(Problem(f"{name}: {one.message}", SETTING, hint=one.hint) for one in error.problems)


def _setting_path(name: str) -> tuple[str, ...]:
    parts = tuple(name.split("."))
    for section in OPEN_ENDED:
        if parts[: len(section)] == section and len(parts) > len(section):
            return (*section, ".".join(parts[len(section) :]))
    return parts


def _replaced(node: Node, path: tuple[str, ...], value: Node) -> Node:
    """A copy of the node with the value at the path; a copy, because an alias may share the node."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    here = Place(SETTING)
    if isinstance(node.value, list):
        if not step.isdecimal() or int(step) >= len(node.value):
            raise BadInput(f"the list has {len(node.value)} entries, counted from 0, and none is '{short(step)}'")
        items = list(node.value)
        items[int(step)] = _replaced(items[int(step)], rest, value)
        return Node(items, node.place)
    if node.value is not None and not isinstance(node.value, dict):
        raise BadInput(f"there is no '{short(step)}' below {describe(node.value)}")
    entries = dict(node.value or {})
    entry = entries.get(step) or Entry(here, Node(None, here))
    entries[step] = Entry(entry.key, _replaced(entry.node, rest, value))
    return Node(entries, node.place)


# -- parsing -----------------------------------------------------------------------------------


def parse(text: bytes, file: str, *, has_lines: bool = True) -> tuple[Node | None, list[Problem]]:
    """The top value of a YAML text, None for an empty one, and the problems that did not stop the reading.

    Raises BadInput when the text is too large, not UTF-8 or not YAML.
    """
    builder = Builder(file, has_lines)
    decoded = _decode(text, file)
    for event in _events(builder, decoded):
        builder.take(event)
    return builder.root, builder.problems


def _decode(text: bytes, file: str) -> str:
    if len(text) > MAX_BYTES:
        raise BadInput(Problem(f"the file has {len(text)} bytes, at most {MAX_BYTES} are read", file))
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = text[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        raise BadInput(Problem("this is not UTF-8 text", file, line, column, "save the file as UTF-8")) from error


def _events(builder: Builder, text: str) -> Iterator[Event]:
    """The parser's events. Raises BadInput at the place where it cannot go on."""
    place = builder.place(None)
    try:
        for event in builder.yaml.parse(text):
            place = builder.place(event.end_mark)
            yield event
    except MarkedYAMLError as error:
        raise builder.refuse(builder.place(error.problem_mark or error.context_mark), *_in_words(error)) from error
    except ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
        place = Place(builder.file, line, column) if builder.has_lines else Place(builder.file)
        raise builder.refuse(place, "a control character stands here", "remove it") from error
    except (YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # The parser trips over some escapes (lone surrogates, numbers that are no character) in its own ways.
        raise builder.refuse(place, "after this the text cannot be read as YAML") from error


def _in_words(error: MarkedYAMLError) -> tuple[str, str]:
    problem = str(error.problem or error.context or "the syntax is wrong")
    if "'\\t'" in problem:
        return "a tab stands where only spaces may", "YAML indents with spaces"
    if "mapping values are not allowed" in problem:
        return "this is not YAML: a ':' is not allowed here", "check the indentation, or put the text in quotes"
    context = f" {error.context}" if error.context else ""
    return f"this is not YAML:{context} {problem}".replace("  ", " "), ""
