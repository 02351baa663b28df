"""What all sections share: strictness, and checks of names and lists. A check returns the value or refuses it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from epydrop.experiment.text.problems import Finding, did_you_mean, refuse
from epydrop.experiment.text.wording import describe


class Section(BaseModel):
    """A mapping in the experiment file. Unknown keys are errors, and values are never converted to another type."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


def derived(default: str) -> dict[str, Any]:
    """For a field's ``json_schema_extra``: how its default is found, in words for the reference of keys."""
    return {"default": default}


def one_of(*known: str) -> AfterValidator:
    """The check that a text is one of these words."""

    def check(value: str) -> str:
        if value not in known:
            words = " or ".join(f"'{word}'" for word in known)
            refuse([Finding(f"expected {words}, got {describe(value)}", did_you_mean(value, known))])
        return value

    return AfterValidator(check)


def at_least_one(values: Collection[Any], what: str) -> Iterator[Finding]:
    """A finding if the list is empty."""
    if not values:
        yield Finding(f"expected at least one {what}, got an empty list")


def duplicates(values: tuple[Any, ...]) -> Iterator[Finding]:
    """A finding at each value that is in the list before."""
    seen = set()
    for index, value in enumerate(values):
        # True == 1 in Python but not in YAML. Lists and mappings are not hashable; each counts as different.
        key = (isinstance(value, bool), value) if isinstance(value, str | int | float) else index
        if key in seen:
            yield Finding(f"{describe(value)} is in the list twice", at=(index,))
        seen.add(key)


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    blank = (
        Finding("expected a name, got blank text", at=(index,)) for index, name in enumerate(values) if not name.strip()
    )
    refuse([*blank, *duplicates(values)])
    return values


def _not_empty(values: tuple[str, ...]) -> tuple[str, ...]:
    refuse(at_least_one(values, "name"))
    return values


Names = Annotated[tuple[str, ...], AfterValidator(_distinct)]
"""Distinct names."""

SomeNames = Annotated[Names, AfterValidator(_not_empty)]
"""Distinct names, at least one."""
