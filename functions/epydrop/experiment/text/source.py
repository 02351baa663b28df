"""The text of an experiment file to plain values, and paths in it back to lines and columns.

Knows YAML and ``--set key=value``; ``OPEN_ENDED`` is all that it knows of the keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import Event
from ruamel.yaml.reader import ReaderError

from epydrop.errors import BadInput, KeyPath, Problem
from epydrop.experiment.text.wording import describe, short
from epydrop.experiment.text.yaml_nodes import MAX_BYTES, MAX_DEPTH, Builder, Entry, Node, Place

MAX_PROBLEMS = 100  # in one reply, which must stay readable and is stored in the run's document
SETTING = "--set"  # in the place of the file name, in problems with a setting of the command line
# Sections whose keys are dotted paths themselves: a setting must not split ``tasks.grid.parameters.beta`` further.
OPEN_ENDED = (("tasks", "grid"), ("tasks", "lhs", "ranges"))


@dataclass
class Source:
    """A parsed file whose top value is a mapping, and the problems that did not stop the parser."""

    file: str
    root: Node
    problems: list[Problem]

    def plain(self) -> dict[str, Any]:
        """The values in Python's own types; a new copy with each call."""
        return cast("dict[str, Any]", self.root.plain())

    def place(self, path: KeyPath) -> Place:
        """The position of the value at this path; if there is none, that of the nearest section's key."""
        return self._walk(path)[1]

    def key_place(self, path: KeyPath) -> Place:
        """The position of the last key of this path; if there is none, that of the nearest section's key."""
        return self._walk(path)[0]

    def _walk(self, path: KeyPath) -> tuple[Place, Place]:
        node, key = self.root, self.root.place
        for step in path:
            entry = _child(node, step)
            if entry is None:
                # At the section's key rather than its value: people look for what is missing under the name.
                return key, key
            key, node = entry
        return key, node.place


def read_source(text: bytes, file: str, settings: Sequence[str] = ()) -> Source:
    """The mapping in a YAML text, after settings of the form ``dotted.key=value``.

    Raises BadInput if the text is too large, not UTF-8, not YAML, empty, or not a mapping.
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
    """A mapping that does not come from a file, so that its problems have no lines."""
    place = Place(name)
    return Source(name, _node_of(document, place), [])


def located(problem: Problem, source: Source, *, at_key: bool = False) -> Problem:
    """The problem with the file, line and column of its ``path``.

    The position is that of the value, or with ``at_key`` that of its key; if the file has no such path, that of the
    nearest section's key. A problem that has a line is returned unchanged; one without a path gets only the file.
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
    """The first MAX_PROBLEMS, and a line that counts the rest."""
    more = len(problems) - MAX_PROBLEMS
    return [*problems[:MAX_PROBLEMS], *([Problem(f"and {more} more problems")] if more > 0 else [])]


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
            Problem(f"expected key=value, got '{short(setting)}'", SETTING, hint="for example run.spot=true")
        )
        return
    try:
        # Bytes of the command line that are not UTF-8 arrive as surrogates; decoding them again reports them.
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
    """A copy of the node with the value at the path. Not in place: an alias may share the node."""
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
        raise BadInput(f"{describe(node.value)} has no key '{short(step)}'")
    entries = dict(node.value or {})
    entry = entries.get(step) or Entry(here, Node(None, here))
    entries[step] = Entry(entry.key, _replaced(entry.node, rest, value))
    return Node(entries, node.place)


# -- parsing -----------------------------------------------------------------------------------


def parse(text: bytes, file: str, *, has_lines: bool = True) -> tuple[Node | None, list[Problem]]:
    """The top value of a YAML text, or None if it is empty, and the problems that did not stop the parser.

    Raises BadInput if the text is too large, not UTF-8 or not YAML.
    """
    builder = Builder(file, has_lines)
    for event in _events(builder, _decoded(text, file)):
        builder.take(event)
    return builder.root, builder.problems


def _decoded(text: bytes, file: str) -> str:
    if len(text) > MAX_BYTES:
        raise BadInput(Problem(f"the file has {len(text)} bytes, at most {MAX_BYTES} are allowed", file))
    try:
        return text.decode("utf-8-sig")  # some editors write a byte order mark
    except UnicodeDecodeError as error:
        # The file as a whole cannot be decoded, so the parser's marks are not available.
        before = text[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        raise BadInput(Problem("the text is not UTF-8", file, line, column, "save the file as UTF-8")) from error


def _events(builder: Builder, text: str) -> Iterator[Event]:
    """The parser's events. Raises BadInput at the position where it cannot continue."""
    place = builder.place(None)
    try:
        for event in builder.yaml.parse(text):
            place = builder.place(event.end_mark)
            yield event
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        character = text[mark.index : mark.index + 1] if mark else ""
        raise builder.refuse(builder.place(mark), *_syntax_problem(error, character)) from error
    except ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
        place = Place(builder.file, line, column) if builder.has_lines else Place(builder.file)
        raise builder.refuse(place, "control characters are not allowed", "remove it") from error
    except (YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # ruamel.yaml fails with these on some escapes, such as lone surrogates and code points above U+10FFFF.
        raise builder.refuse(place, "the text after this point is not valid YAML") from error


def _syntax_problem(error: MarkedYAMLError, character: str) -> tuple[str, str]:
    """A message and a hint. ``character`` is the one that the parser could not accept, or '' at the end."""
    # By the character and not by the words of the parser's message, which may change with its version.
    if character == "\t":
        return "tabs are not allowed here", "YAML is indented with spaces"
    if character == ":":
        return "this is not YAML: a ':' is not allowed here", "check the indentation, or put the text in quotes"
    parts = (error.context, error.problem or (None if error.context else "the syntax is wrong"))
    return f"this is not YAML: {' '.join(str(part) for part in parts if part)}", ""
