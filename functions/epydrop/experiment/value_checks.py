"""What a value in an experiment file may be, beyond its kind. Each check returns the value or refuses it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from epydrop import machine_types
from epydrop.errors import BadInput
from epydrop.experiment.text.problems import Finding, did_you_mean, refuse
from epydrop.experiment.text.source import describe
from epydrop.formats import names

SUITES = ("epydemix", "epymodelingsuite")
FORMATS = ("csv.gz", "parquet")
PERIODS = ("week", "day")
SCENARIO_KEYS = {"parameters": dict, "interventions": list, "overrides": list}
MAX_LABELS = 20
OWN_LABELS = {"component", "managed-by", "stage", "exp_id", "run_id", "attempt", "orders", "environment"}
SEED_HINT = "the seed stands at the top level"

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_PATH = re.compile(r"[^.\s]+(\.[^.\s]+)*")
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_GITHUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")
_MODEL_ID = re.compile(r"[A-Za-z0-9_]{1,15}-[A-Za-z0-9_]{1,15}")
_SATURDAY = 5


def seconds(value: object) -> object:
    """A duration such as '6h' in whole seconds."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match:
        return int(match[1]) * _UNITS[match[2]]
    if isinstance(value, bool) or not isinstance(value, int):
        message = f"expected a duration such as 6h, 90m, 30s or 2d, or whole seconds, got {describe(value)}"
        refuse([Finding(message)])
    return value


def exp_id(value: str) -> str:
    """Experiment ids become folders."""
    if not names.is_exp_id(value):
        message = f"expected letters, digits, '.', '-' and '_', in parts divided by '/', got {describe(value)}"
        refuse([Finding(message, "at most 200 characters; each part begins with a letter or a digit")])
    return value


def suite(value: str) -> str:
    """The modelling code that this version can call."""
    if value not in SUITES:
        known = " or ".join(f"'{one}'" for one in SUITES)
        refuse([Finding(f"expected {known}, got {describe(value)}", did_you_mean(value, SUITES))])
    return value


def image(value: str) -> str:
    """Images are named by digest only, so that a run can be repeated."""
    if not names.is_image_digest(value):
        refuse([Finding(f"expected 'sha256:' and 64 hexadecimal digits, got {describe(value)}")])
    return value


def machine_type(value: str) -> str:
    """A machine type of the table."""
    try:
        machine_types.machine(value)
    except BadInput as error:
        refuse(Finding(problem.message, problem.hint) for problem in error.problems)
    return value


def model(value: dict[str, Any]) -> dict[str, Any]:
    """What of an epydemix configuration has its place elsewhere."""
    refuse(_misplaced(value))
    return value


def _misplaced(value: dict[str, Any]) -> Iterator[Finding]:
    if "base" in value:
        yield Finding("an experiment cannot build on another configuration", "copy its content here", ("base",))
    simulation = value.get("simulation")
    if isinstance(simulation, dict) and "seed" in simulation:
        yield Finding(SEED_HINT, "move it there: 'seed: ...'", ("simulation", "seed"))


def some_names(values: tuple[str, ...]) -> tuple[str, ...]:
    """At least one name, none of them twice."""
    refuse(_at_least_one(values, "name"))
    return distinct_names(values)


def distinct_names(values: tuple[str, ...]) -> tuple[str, ...]:
    """Names, none of them twice."""
    blank = (Finding("expected a name, got blank text", at=(at,)) for at, one in enumerate(values) if not one.strip())
    refuse([*blank, *_repeated(values)])
    return values


def scalars(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values of one grid path."""
    others = (
        Finding(f"expected a number, a text, true or false, got {describe(one)}", at=(at,))
        for at, one in enumerate(values)
        if not isinstance(one, str | int | float)
    )
    refuse([*_at_least_one(values, "value"), *others, *_repeated(values)])
    return values


def low_high(values: tuple[float, ...]) -> tuple[float, ...]:
    """A range."""
    if len(values) != 2 or not values[0] < values[1]:
        refuse([Finding(f"expected [low, high] with low below high, got {list(values)}")])
    return values


def some_paths(values: dict[str, Any]) -> dict[str, Any]:
    """At least one dotted path."""
    refuse([] if values else [Finding("expected at least one range, got none")])
    return paths(values)


def paths(values: dict[str, Any]) -> dict[str, Any]:
    """Dotted paths into ``model``."""
    refuse(
        Finding(f"{describe(path)} is not a dotted path into 'model'", "such as parameters.recovery_rate", (path,))
        for path in values
        if not _PATH.fullmatch(path)
    )
    return values


def quantiles(values: tuple[float, ...]) -> tuple[float, ...]:
    """Ascending, and inside (0, 1)."""
    outside = (
        Finding(f"expected a number between 0 and 1, got {one:g}", at=(at,))
        for at, one in enumerate(values)
        if not 0 < one < 1
    )
    unordered = (
        Finding(f"quantiles must ascend, and {high:g} follows {low:g}", at=(at,))
        for at, (low, high) in enumerate(pairwise(values), start=1)
        if low >= high
    )
    refuse([*_at_least_one(values, "quantile"), *outside, *unordered])
    return values


def formats(values: tuple[str, ...]) -> tuple[str, ...]:
    """File formats of the tables."""
    known = " or ".join(f"'{one}'" for one in FORMATS)
    others = (
        Finding(f"expected {known}, got {describe(one)}", did_you_mean(one, FORMATS), (at,))
        for at, one in enumerate(values)
        if one not in FORMATS
    )
    refuse([*_at_least_one(values, "format"), *others, *_repeated(values)])
    return values


def repository(value: str) -> str:
    """``owner/name`` on GitHub, or a https:// or file:// address without a token in it."""
    if value.startswith("https://") and "@" in value.removeprefix("https://").partition("/")[0]:
        refuse([Finding("an address must not hold a user or a token", "the builder takes the token from GITHUB_PAT")])
    if not (_GITHUB.fullmatch(value) or re.match(r"(https://[^/\s]+/|file:///)\S+", value)):
        refuse([Finding(f"expected 'owner/name', https://... or file:///..., got {describe(value)}")])
    return value


def ref(value: str) -> str:
    """The name of a branch, tag or commit; nothing that git could take for an option or a range."""
    if not _REF.fullmatch(value) or ".." in value or value.endswith((".lock", "/", ".")):
        refuse([Finding(f"expected a branch, a tag or a commit, got {describe(value)}")])
    return value


def period(value: str) -> str:
    """The time that one observation counts."""
    if value not in PERIODS:
        refuse([Finding(f"expected 'day' or 'week', got {describe(value)}", did_you_mean(value, PERIODS))])
    return value


def hub_format(value: str) -> str:
    """The hubs whose files we know."""
    if value != "flusight":
        refuse([Finding(f"expected 'flusight', got {describe(value)}", did_you_mean(value, ["flusight"]))])
    return value


def saturday(value: date) -> date:
    """The hub's weeks end on Saturdays."""
    if value.weekday() != _SATURDAY:
        hint = f"the Saturday of that week is {value + timedelta((_SATURDAY - value.weekday()) % 7)}"
        refuse([Finding(f"expected a Saturday, got {value:%A}, {value}", hint)])
    return value


def model_id(value: str) -> str:
    """The hub's rule for ``team-model``."""
    if not _MODEL_ID.fullmatch(value):
        hint = "two names of at most 15 letters, digits and '_', with one '-' between them"
        refuse([Finding(f"expected 'team-model', got {describe(value)}", hint)])
    return value


def scenarios(values: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Names, each with the sections of the model that it changes."""
    refuse(_odd_scenarios(values))
    return values


def _odd_scenarios(values: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    for name, overlay in values.items():
        if not name.strip():
            yield Finding("expected a name, got blank text", at=(name,))
        for key, section in overlay.items():
            if key not in SCENARIO_KEYS:
                known = ", ".join(SCENARIO_KEYS)
                message = f"{describe(key)} is not a section that a scenario changes (those are {known})"
                yield Finding(message, did_you_mean(key, SCENARIO_KEYS), (name, key))
            elif not isinstance(section, SCENARIO_KEYS[key]):
                kind = "a list" if SCENARIO_KEYS[key] is list else "keys and values"
                yield Finding(f"expected {kind}, got {describe(section)}", at=(name, key))


def labels(values: dict[str, str]) -> dict[str, str]:
    """Labels of the jobs; any text is made legal as a value, but a key must be legal as it stands."""
    refuse(_illegal_labels(values))
    return values


def _illegal_labels(values: dict[str, str]) -> Iterator[Finding]:
    if len(values) > MAX_LABELS:
        yield Finding(f"expected at most {MAX_LABELS} labels, got {len(values)}")
    for key in values:
        if key in OWN_LABELS:
            yield Finding("this label is set by epydrop itself", at=(key,))
        elif not _LABEL_KEY.fullmatch(key) or key.startswith("goog"):
            hint = "a lower-case letter, then up to 62 of a-z, 0-9, '_' and '-'; not beginning with 'goog'"
            yield Finding("this is not a legal name for a label", hint, (key,))


def _at_least_one(values: Collection[Any], what: str) -> Iterator[Finding]:
    if not values:
        yield Finding(f"expected at least one {what}, got an empty list")


def _repeated(values: tuple[Any, ...]) -> Iterator[Finding]:
    seen = set()
    for at, one in enumerate(values):
        key = (isinstance(one, bool), one) if isinstance(one, str | int | float) else at  # True equals 1 in Python
        if key in seen:
            yield Finding(f"{describe(one)} stands in the list a second time", at=(at,))
        seen.add(key)
