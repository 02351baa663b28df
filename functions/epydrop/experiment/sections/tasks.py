"""The section ``tasks``: the combinations of populations and parameters that an experiment computes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import prod
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from epydrop.errors import KeyPath
from epydrop.experiment.sections.section import Section, SomeNames, at_least_one, duplicates
from epydrop.experiment.text.problems import Finding, refuse
from epydrop.experiment.text.wording import describe, short
from epydrop.formats.names import MAX_TASKS

SEED_HINT = "the seed is set at the top level: 'seed: ...'"

_PATH = re.compile(r"[^.\s]+(\.[^.\s]+)*")
_UNCOUNTABLE = 10**15  # from here on a product is not printed: it may have thousands of digits


def _paths(values: dict[str, Any]) -> dict[str, Any]:
    refuse(
        Finding(f"{describe(path)} is not a dotted path into 'model'", "for example parameters.recovery_rate", (path,))
        for path in values
        if not _PATH.fullmatch(path)
    )
    return values


def _grid_values(values: tuple[Any, ...]) -> tuple[Any, ...]:
    others = (
        Finding(f"expected a number, text, true or false, got {describe(value)}", at=(index,))
        for index, value in enumerate(values)
        if not isinstance(value, str | int | float)
    )
    refuse([*at_least_one(values, "value"), *others, *duplicates(values)])
    return values


def _low_high(values: tuple[float, ...]) -> tuple[float, ...]:
    if len(values) != 2 or not values[0] < values[1]:
        refuse([Finding(f"expected [low, high] with low below high, got {list(values)}")])
    return values


def _some_ranges(values: dict[str, Any]) -> dict[str, Any]:
    refuse([] if values else [Finding("expected at least one range, got none")])
    return values


Range = Annotated[tuple[float, ...], AfterValidator(_low_high)]
GridValues = Annotated[tuple[Any, ...], AfterValidator(_grid_values)]
Paths = AfterValidator(_paths)


class Lhs(Section):
    """A Latin hypercube: ``n`` points in the box that the ranges span."""

    n: int = Field(ge=1, description="the number of points")
    ranges: Annotated[dict[str, Range], AfterValidator(_some_ranges), Paths] = Field(
        description="dotted path into model to [low, high]"
    )


class Tasks(Section):
    """``tasks``: one task for each combination of population, grid point, hypercube point and chain."""

    populations: SomeNames | None = Field(
        default=None, description="the populations; without it, the one of model.population"
    )
    grid: Annotated[dict[str, GridValues], Paths] = Field(
        default_factory=dict, description="dotted path into model to a list of values; all combinations are run"
    )
    lhs: Lhs | None = Field(default=None, description="a Latin hypercube over ranges of values")
    chains: int = Field(default=1, ge=1, description="independent seeds; the output stage pools their results")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        ranges = self.lhs.ranges if self.lhs else {}
        refuse([*_conflicts(self.grid, ranges, has_populations=self.populations is not None), *_excess(self.factors)])
        return self

    @property
    def factors(self) -> dict[str, int]:
        """The numbers whose product is the number of tasks."""
        return {
            "populations": len(self.populations or [None]),
            "grid points": prod(map(len, self.grid.values())),
            "hypercube points": self.lhs.n if self.lhs else 1,
            "chains": self.chains,
        }


def _conflicts(grid: Mapping[str, Any], ranges: Mapping[str, Any], *, has_populations: bool) -> Iterator[Finding]:
    """Paths that set the same value, one of them perhaps as a part of the other, or one that is set elsewhere."""
    places: list[tuple[str, KeyPath]] = [(path, ("grid", path)) for path in grid]
    places += [(path, ("lhs", "ranges", path)) for path in ranges]
    first = None
    # Sorted with a '.' appended, a path is followed at once by the paths below it: one pass finds all overlaps.
    for path, at in sorted(places, key=lambda place: f"{place[0]}."):
        if first and f"{path}.".startswith(f"{first}."):
            yield Finding(f"this overlaps with '{short(first)}'", "each value can be set only once", at)
        else:
            first = path
    for path, at in places:
        # A task's seed follows from what the task is, so that adding a location changes no other task.
        if path in {"simulation.seed", "simulation"}:
            yield Finding("the seed of a task cannot be set", SEED_HINT, at)
        if has_populations and path in {"population.name", "population"}:
            yield Finding("'tasks.populations' sets this already", "remove one of the two", at)


def _excess(factors: Mapping[str, int]) -> Iterator[Finding]:
    count = prod(factors.values())
    if count > MAX_TASKS:
        number = f"{count}" if count < _UNCOUNTABLE else "far too many"
        product = " x ".join(f"{factor} {name}" for name, factor in factors.items())
        yield Finding(f"{product} are {number} tasks; at most {MAX_TASKS} are allowed")
