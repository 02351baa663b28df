"""What the parts of one experiment must agree on: values within a section, and sections among themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from math import prod
from typing import Any

from epydrop import machine_types
from epydrop.experiment import forecasts
from epydrop.experiment.text.problems import Finding, did_you_mean
from epydrop.experiment.text.source import describe
from epydrop.experiment.text.yaml_scalars import short
from epydrop.experiment.value_checks import SEED_HINT
from epydrop.formats import names

_OF_EPYDEMIX = ("model", "data", "scenarios", "tasks", "outputs")
_OF_EPYMODELINGSUITE = ("config",)
_UNCOUNTABLE = 10**15
_SEED = "simulation.seed"


def contradictions(suite: str, document: Mapping[str, Any], changed: Collection[str]) -> Iterator[Finding]:
    """Everything that cannot go together; ``changed`` are the sections that say anything but the default."""
    foreign, other = (_OF_EPYMODELINGSUITE, "epymodelingsuite") if suite == "epydemix" else (_OF_EPYDEMIX, "epydemix")
    for name in foreign:
        if name in changed:
            yield Finding(f"'{name}' belongs to the suite '{other}', and this is '{suite}'", at=(name,))
    if suite == "epydemix":
        if document["model"] is None:
            yield Finding("'model' is missing")
        else:
            yield from forecasts.contradictions(document, document["model"])


def backwards(start: date, end: date) -> Iterator[Finding]:
    """A window that ends before it begins."""
    if end < start:
        yield Finding(f"expected a date from {start} on, got {end}", at=("end_date",))


def overlaps(grid: Mapping[str, Any], ranges: Mapping[str, Any], *, has_populations: bool) -> Iterator[Finding]:
    """Paths that set the same thing, or one a part of the other's."""
    places = [(path, ("grid", path)) for path in grid] + [(path, ("lhs", "ranges", path)) for path in ranges]
    first = None
    for path, at in sorted(places, key=lambda place: f"{place[0]}."):  # so that the parts of a thing follow it
        if first and f"{path}.".startswith(f"{first}."):
            yield Finding(f"this overlaps '{short(first)}'", "each value can be set once only", at)
        else:
            first = path
    for path, at in places:
        if path in {_SEED, "simulation"}:
            yield Finding("the seed of a task cannot be chosen", SEED_HINT, at)
        if has_populations and path in {"population.name", "population"}:
            yield Finding("this is set by 'tasks.populations' already", "remove one of the two", at)


def too_many(factors: Mapping[str, int]) -> Iterator[Finding]:
    """More tasks than one job can have."""
    count = prod(factors.values())
    if count > names.MAX_TASKS:
        number_of = f"{count}" if count < _UNCOUNTABLE else "far too many"
        product = " x ".join(f"{number} {name}" for name, number in factors.items())
        yield Finding(f"{product} are {number_of} tasks, at most {names.MAX_TASKS} can be run")


def misfits(
    cpu_milli: int, memory_mib: int, max_memory_mib: int, kind: str | None, tasks: int = 1
) -> Iterator[Finding]:
    """Sizes that contradict one another or the machine."""
    if max_memory_mib < memory_mib:
        yield Finding(f"expected at least memory_mib, {memory_mib}, got {max_memory_mib}", at=("max_memory_mib",))
    if kind and not machine_types.machine(kind).holds(cpu_milli, memory_mib, tasks):
        one = machine_types.machine(kind)
        needs = f"{tasks} x ({cpu_milli} cpu_milli and {memory_mib} memory_mib)"
        room = machine_types.smallest(one.family, cpu_milli, memory_mib, tasks)
        hint = f"'{room.name}' would do" if room else "choose another family, or fewer tasks_per_vm"
        yield Finding(f"{needs} do not fit on {one}", hint, ("machine_type",))


def unknown_required(required: Collection[str], populations: Collection[str] | None) -> Iterator[Finding]:
    """Required names that no task has."""
    for at, name in enumerate(required):
        if populations is not None and name not in populations:
            message = f"{describe(name)} is not among 'tasks.populations'"
            yield Finding(message, did_you_mean(name, populations), ("run", "required", at))
