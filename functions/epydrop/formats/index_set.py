"""A set of task indices, small to store and quick to read: '0-4,7,9-12'."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby, pairwise
from operator import itemgetter

_TEXT = re.compile(r"(\d+(-\d+)?(,\d+(-\d+)?)*)?")


@dataclass(frozen=True)
class IndexSet:
    """Task indices in ascending order, as half-open ``(start, stop)`` spans that do not touch."""

    spans: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if any(start >= stop for start, stop in self.spans) or any(a[1] >= b[0] for a, b in pairwise(self.spans)):
            raise ValueError(f"spans must be ascending and apart, got {self.spans}")

    @classmethod
    def of(cls, indices: Iterable[int]) -> IndexSet:
        """The set of these indices, in any order and with duplicates."""
        spans: list[tuple[int, int]] = []
        for index in sorted(set(indices)):
            if spans and spans[-1][1] == index:
                spans[-1] = (spans[-1][0], index + 1)
            else:
                spans.append((index, index + 1))
        return cls(tuple(spans))

    @classmethod
    def below(cls, count: int) -> IndexSet:
        """All indices from 0 up to but not including ``count``."""
        return cls(((0, count),)) if count else cls()

    @classmethod
    def parse(cls, text: str) -> IndexSet:
        """The set that ``str`` printed. Raises ValueError for any other text."""
        if not _TEXT.fullmatch(text):
            raise ValueError(f"expected indices such as '0-4,7', got {text!r}")
        spans = []
        for part in filter(None, text.split(",")):
            first, _, last = part.partition("-")
            spans.append((int(first), int(last or first) + 1))
        return cls(tuple(spans))

    def __str__(self) -> str:
        return ",".join(str(start) if stop == start + 1 else f"{start}-{stop - 1}" for start, stop in self.spans)

    def __iter__(self) -> Iterator[int]:
        for start, stop in self.spans:
            yield from range(start, stop)

    def __len__(self) -> int:
        return self._positions[-1]

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __contains__(self, index: int) -> bool:
        span = self._span_at(index)
        return span >= 0 and index < self.spans[span][1]

    def __or__(self, other: IndexSet) -> IndexSet:
        return self._combined(other, lambda here, there: here or there)

    def __and__(self, other: IndexSet) -> IndexSet:
        return self._combined(other, lambda here, there: here and there)

    def __sub__(self, other: IndexSet) -> IndexSet:
        return self._combined(other, lambda here, there: here and not there)

    def _combined(self, other: IndexSet, keeps: Callable[[bool, bool], bool]) -> IndexSet:
        """Set operation given by ``keeps(in_self, in_other)``, which must be false for (False, False).

        The work grows with the number of spans, not with that of indices.
        """
        inside = [False, False]
        start: int | None = None
        spans = []
        edges = sorted((edge, which) for which, one in enumerate((self, other)) for span in one.spans for edge in span)
        for edge, changes in groupby(edges, key=itemgetter(0)):
            for _, which in changes:
                inside[which] = not inside[which]
            kept = keeps(inside[0], inside[1])
            if kept and start is None:
                start = edge
            elif not kept and start is not None:
                spans.append((start, edge))
                start = None
        return IndexSet(tuple(spans))

    def nth(self, position: int) -> int:
        """The index at this position, counted from 0. Raises IndexError past the end."""
        if not 0 <= position < len(self):
            raise IndexError(f"there is no position {position} among {len(self)} indices")
        span = bisect_right(self._positions, position) - 1
        return self.spans[span][0] + position - self._positions[span]

    def position_of(self, index: int) -> int:
        """Where ``nth`` finds this index. Raises ValueError for one that is not among them."""
        if index not in self:
            raise ValueError(f"{index} is not among {self}")
        span = self._span_at(index)
        return self._positions[span] + index - self.spans[span][0]

    def _span_at(self, index: int) -> int:
        """The position of the last span that starts at or before this index; -1 if there is none."""
        return bisect_right(self.spans, index, key=itemgetter(0)) - 1

    @cached_property
    def _positions(self) -> tuple[int, ...]:
        """The number of indices before each span, and the total."""
        return tuple(accumulate((stop - start for start, stop in self.spans), initial=0))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> object:
        """Stored as text."""
        from pydantic_core import core_schema  # noqa: PLC0415 - only for reading and writing documents

        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls.parse(value),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )
