"""Values with their places: what the YAML parser's events build. Knows nothing of what the keys mean.

Stricter than YAML where people get hurt: no key twice, no tags, only text as keys, no infinite numbers, one document,
and aliases cannot blow up. Dates stay text.
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
from epydrop.experiment.text.yaml_scalars import UnfitScalar, scalar, short

MAX_BYTES = 1024 * 1024
MAX_WEIGHT = 4 * MAX_BYTES  # only aliases can make more than this out of MAX_BYTES
MAX_DEPTH = 50
MAX_EVENTS = 100_000  # some seconds of parsing; about one for each key and value


class Place(NamedTuple):
    """Where something stands; line and column count from 1, and are None for what came from elsewhere."""

    file: str
    line: int | None = None
    column: int | None = None

    def problem(self, message: str, hint: str = "") -> Problem:
        """A problem at this place."""
        return Problem(message, self.file, self.line, self.column, hint)


@dataclass(slots=True)
class Node:
    """A value and its place: a scalar, a list of nodes, or a mapping of keys to entries."""

    value: Any
    place: Place
    weight: int = 2  # about the characters that it would take to write the value without aliases
    depth: int = 0

    def plain(self) -> object:
        """The value in Python's own types."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def adopt(self) -> None:
        """Counts what the children weigh."""
        nodes = [entry.node for entry in self.value.values()] if isinstance(self.value, dict) else self.value
        keys = sum(len(key) + 2 for key in self.value) if isinstance(self.value, dict) else 0
        self.weight = 2 + keys + sum(node.weight for node in nodes)
        self.depth = 1 + max((node.depth for node in nodes), default=0)


class Entry(NamedTuple):
    """A key's place and its value."""

    key: Place
    node: Node


@dataclass(slots=True)
class _Open:
    """A mapping or list that has begun and not ended."""

    node: Node
    anchor: str | None
    key: tuple[str, Place] | None = None
    is_merge: bool = False
    merges: list[Node] = field(default_factory=list)


@dataclass
class Builder:
    """Takes the parser's events one by one; never recursive, so no nesting is too deep for it."""

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
        """The place that the parser's mark means."""
        if not self.has_lines or mark is None:
            return Place(self.file)
        return Place(self.file, mark.line + 1, mark.column + 1)

    def refuse(self, place: Place, message: str, hint: str = "") -> BadInput:
        """All problems up to here, as an error to raise."""
        return BadInput(*self.problems, place.problem(message, hint))

    def take(self, event: Event) -> None:
        """Takes the next event. Raises BadInput when there is no going on after it."""
        place = self.place(event.start_mark)
        self.events += 1
        if self.events > MAX_EVENTS:
            raise self.refuse(place, f"more than {MAX_EVENTS} keys and values stand here", "write data in a CSV file")
        if isinstance(event, DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise self.refuse(
                    place, "a second YAML document begins here", "one file is one experiment: remove '---'"
                )
            if event.version is not None and tuple(event.version) != (1, 2):
                raise self.refuse(place, "only YAML 1.2 is read", "remove the line that begins with %YAML")
        elif isinstance(event, ScalarEvent):
            self._take_scalar(event, place)
        elif isinstance(event, AliasEvent):
            node = self.anchors.get(event.anchor)
            if node is None:
                raise self.refuse(place, f"'*{short(event.anchor)}' refers to nothing above it")
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
            raise self.refuse(place, f"this is nested more than {MAX_DEPTH} levels deep")
        self.stack.append(_Open(Node(value, place), event.anchor))

    def _end(self) -> None:
        done = self.stack.pop()
        for merged in done.merges:
            self._merge(done.node, merged)
        done.node.adopt()
        self._remember(done.anchor, done.node)
        self._add(done.node)

    def _merge(self, target: Node, merged: Node) -> None:
        """``<<: *name``: the keys of another mapping, where the mapping has none of its own."""
        sources = merged.value if isinstance(merged.value, list) else [merged]
        for source in sources:
            if not isinstance(source.value, dict):
                self.problems.append(merged.place.problem("'<<' takes a mapping", "write '<<: *name'"))
                return
            for key, entry in source.value.items():
                target.value.setdefault(key, entry)

    @property
    def _expects_key(self) -> bool:
        top = self.stack[-1]
        return isinstance(top.node.value, dict) and top.key is None

    def _add(self, node: Node) -> None:
        """Puts a whole value where it belongs."""
        if node.weight > MAX_WEIGHT or node.depth > MAX_DEPTH:
            raise self.refuse(node.place, "the aliases ('*name') make this too large", "write data in a CSV file")
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
            self.problems.append(place.problem(f"the key {short(text) or 'null'} is not text", "write it in quotes"))
        earlier = top.node.value.get(text)
        if earlier is not None:
            where = f"the first stands in line {earlier.key.line}" if earlier.key.line else ""
            self.problems.append(place.problem(f"the key '{short(text)}' stands here a second time", where))
        top.key = (text, place)
        top.is_merge = kind == "merge"

    def _scalar(self, text: str, kind: str, place: Place) -> object:
        try:
            return scalar(text, kind)
        except UnfitScalar as fault:
            self.problems.append(place.problem(str(fault), fault.hint))
            return None if kind == "str" else 0

    def _check_tag(self, event: NodeEvent, place: Place) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None and str(tag) != "!":
            self.problems.append(place.problem("tags ('!...') are not read here", "write the value without its tag"))

    def _remember(self, anchor: str | None, node: Node) -> None:
        if anchor is not None:
            self.anchors[anchor] = node
