"""A tree of values with their positions, built from the YAML parser's events. Knows nothing of what the keys mean.

Stricter than YAML where YAML surprises people: no duplicate keys, no tags, keys are text, numbers are finite, one
document, and aliases cannot expand without bound. Dates stay text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import StreamMark
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import ScalarNode

from epydrop.errors import BadInput, Problem
from epydrop.experiment.text.wording import short
from epydrop.experiment.text.yaml_scalars import InvalidScalar, scalar

MAX_BYTES = 1024 * 1024
MAX_WEIGHT = 4 * MAX_BYTES  # only aliases can expand MAX_BYTES to more than this
MAX_DEPTH = 50  # below Python's recursion limit, for the functions that walk the values
MAX_EVENTS = 100_000  # about one for each key and value; takes some seconds to parse


class Place(NamedTuple):
    """A position in a file. Line and column count from 1; None if the value does not come from a file."""

    file: str
    line: int | None = None
    column: int | None = None

    def problem(self, message: str, hint: str = "") -> Problem:
        """A problem at this position."""
        return Problem(message, self.file, self.line, self.column, hint)


@dataclass(slots=True)
class Node:
    """A value and its position: a scalar, a list of nodes, or a mapping of keys to entries."""

    value: Any
    place: Place
    weight: int = 2  # roughly the characters of the value with all aliases expanded
    depth: int = 0

    def plain(self) -> object:
        """The value in Python's own types."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def measure(self) -> None:
        """Computes weight and depth from the children, which are complete."""
        nodes = [entry.node for entry in self.value.values()] if isinstance(self.value, dict) else self.value
        keys = sum(len(key) + 2 for key in self.value) if isinstance(self.value, dict) else 0
        self.weight = 2 + keys + sum(node.weight for node in nodes)
        self.depth = 1 + max((node.depth for node in nodes), default=0)


class Entry(NamedTuple):
    """A key's position and its value."""

    key: Place
    node: Node


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not been read yet."""

    node: Node
    anchor: str | None
    key: tuple[str, Place] | None = None
    is_merge: bool = False
    merges: list[Node] = field(default_factory=list)


@dataclass
class Builder:
    """Builds the tree from the parser's events. Not recursive, so that deep nesting cannot exhaust the stack."""

    file: str
    has_lines: bool
    problems: list[Problem] = field(default_factory=list)
    root: Node | None = None
    documents: int = 0
    events: int = 0
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, Node] = field(default_factory=dict)
    yaml: YAML = field(default_factory=lambda: YAML(typ="safe", pure=True))

    def place(self, mark: StreamMark | None) -> Place:
        """The position of the parser's mark."""
        if not self.has_lines or mark is None:
            return Place(self.file)
        return Place(self.file, mark.line + 1, mark.column + 1)

    def refuse(self, place: Place, message: str, hint: str = "") -> BadInput:
        """An error with all problems up to here, for the caller to raise."""
        return BadInput(*self.problems, place.problem(message, hint))

    def take(self, event: Event) -> None:
        """Processes the next event. Raises BadInput if the rest cannot be parsed."""
        place = self.place(event.start_mark)
        self.events += 1
        if self.events > MAX_EVENTS:
            raise self.refuse(place, f"the file has more than {MAX_EVENTS} keys and values", "put data in a CSV file")
        if isinstance(event, DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise self.refuse(
                    place, "a second YAML document starts here", "one file is one experiment: remove '---'"
                )
            if event.version is not None and tuple(event.version) != (1, 2):
                raise self.refuse(place, "only YAML 1.2 is supported", "remove the %YAML line")
        elif isinstance(event, ScalarEvent):
            self._take_scalar(event, place)
        elif isinstance(event, AliasEvent):
            node = self.anchors.get(event.anchor)
            if node is None:
                raise self.refuse(place, f"the alias '*{short(event.anchor)}' has no anchor above it")
            # A new node for the position of the alias; the value is shared, so that expanding costs no memory.
            self._add(Node(node.value, place, node.weight, node.depth))
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._begin({} if isinstance(event, MappingStartEvent) else [], event, place)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._end()

    def _begin(self, value: list[Node] | dict[str, Entry], event: NodeEvent, place: Place) -> None:
        self._check_tag(event, place)
        if self.stack and self._expects_key:
            raise self.refuse(place, "a key must be text, not a list or a mapping")
        if len(self.stack) >= MAX_DEPTH:
            raise self.refuse(place, f"values are nested more than {MAX_DEPTH} levels deep")
        self.stack.append(_Open(Node(value, place), event.anchor))

    def _end(self) -> None:
        done = self.stack.pop()
        # At the end, because a mapping's own keys win over merged ones, wherever in it the '<<' is.
        for merged in done.merges:
            self._merge(done.node, merged)
        done.node.measure()
        self._remember(done.anchor, done.node)
        self._add(done.node)

    def _merge(self, target: Node, merged: Node) -> None:
        """Applies ``<<: *name``: adds the keys of another mapping that this one lacks."""
        sources = merged.value if isinstance(merged.value, list) else [merged]
        for source in sources:
            if not isinstance(source.value, dict):
                self.problems.append(merged.place.problem("'<<' needs a mapping", "write '<<: *name'"))
                return
            for key, entry in source.value.items():
                target.value.setdefault(key, entry)

    @property
    def _expects_key(self) -> bool:
        top = self.stack[-1]
        return isinstance(top.node.value, dict) and top.key is None

    def _add(self, node: Node) -> None:
        """Adds a complete value to the mapping or list that is open."""
        if node.weight > MAX_WEIGHT or node.depth > MAX_DEPTH:
            raise self.refuse(node.place, "the aliases ('*name') expand to too much data", "put data in a CSV file")
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if isinstance(top.node.value, list):
            top.node.value.append(node)
        elif top.key is None:
            raise self.refuse(node.place, "a key must be text, not an alias")
        else:
            (key, place), top.key = top.key, None
            if top.is_merge:
                top.merges.append(node)
            else:
                top.node.value[key] = Entry(place, node)

    def _take_scalar(self, event: ScalarEvent, place: Place) -> None:
        self._check_tag(event, place)
        is_plain = event.implicit[0] and event.style is None
        # YAML gives a type by its pattern to plain text only; quoted text and blocks are always text.
        tag = str(self.yaml.resolver.resolve(ScalarNode, event.value, (True, False))) if is_plain else "str"
        kind = tag.rsplit(":", 1)[-1]
        if self.stack and self._expects_key:
            self._take_key(event.value, kind, place)
            return
        node = Node(self._scalar(event.value, kind, place), place, len(event.value) + 2)
        self._remember(event.anchor, node)
        self._add(node)

    def _take_key(self, text: str, kind: str, place: Place) -> None:
        top = self.stack[-1]
        self._scalar(text, "str", place)
        if kind in {"int", "float", "bool", "null"}:
            self.problems.append(place.problem(f"the key {short(text) or 'null'} is not text", "put it in quotes"))
        earlier = top.node.value.get(text)
        if earlier is not None:
            where = f"first on line {earlier.key.line}" if earlier.key.line else ""
            self.problems.append(place.problem(f"duplicate key '{short(text)}'", where))
        top.key = (text, place)
        top.is_merge = kind == "merge"

    def _scalar(self, text: str, kind: str, place: Place) -> object:
        try:
            return scalar(text, kind)
        except InvalidScalar as invalid:
            self.problems.append(place.problem(str(invalid), invalid.hint))
            return None if kind == "str" else 0  # of the right type, so that the schema does not complain as well

    def _check_tag(self, event: NodeEvent, place: Place) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None and str(tag) != "!":
            self.problems.append(place.problem("tags ('!...') are not supported", "write the value without its tag"))

    def _remember(self, anchor: str | None, node: Node) -> None:
        if anchor is not None:
            self.anchors[anchor] = node
