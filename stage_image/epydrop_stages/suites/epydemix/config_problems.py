"""Finds what is wrong with one epydemix configuration without simulating anything.

Runs epydemix's own validation and checks what it accepts but should not: keys that it ignores silently, settings that
contradict each other, and values that fail only once a calibration is under way. A configuration is the experiment's
``model``, so every problem has a path that begins there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from epydemix.cli.config import validate_calibration_config, validate_config

from epydrop.errors import KeyPath, Problem
from epydrop.experiment.text.problems import did_you_mean
from epydrop_stages.suites.epydemix.projection import scenario_configs
from epydrop_stages.suites.epydemix.tasks import Config

Finding = tuple[KeyPath, str]
"""Path within the configuration, and what is wrong there."""

_KEYS = {
    "": {
        "model",
        "population",
        "parameters",
        "simulation",
        "initial_conditions",
        "interventions",
        "overrides",
        "calibration",
        "projection",
    },
    "population": {"name", "size", "contact_layers"},
    "simulation": {"start_date", "end_date", "dt", "n_simulations"},
    "calibration": {
        "priors",
        "observed_data",
        "observed_column",
        "target_variable",
        "distance",
        "strategy",
        "num_particles",
        "num_generations",
        "epsilon",
        "epsilon_quantile_level",
        "minimum_epsilon",
        "total_simulations_budget",
        "top_fraction",
        "Nsim",
        "n_simulations",
    },
    "projection": {"n_simulations", "generation", "simulation", "interventions", "overrides", "parameters"},
}
"""Section -> the keys that epydemix 1.5 reads (epydemix.cli.config); '' is the configuration itself."""

_CHANGE_KEYS = {
    "interventions": ("layer", "start_date", "end_date", "reduction"),
    "overrides": ("parameter", "start_date", "end_date", "value"),
}
_LABEL = re.compile(r"(?P<path>[A-Za-z_]\w*(?:\.\w+|\[\d+\]|\['[^']*'\])*)(?:: '(?P<key>[^']*)')?")
_STEP = re.compile(r"\d+(?=\])|[^.\[\]']+")


def problems_and_warnings(
    config: Config, varied: Iterable[str], *, has_data: bool = False
) -> tuple[list[Problem], list[str]]:
    """Every problem of this configuration, and epydemix's warnings.

    ``varied``: the dotted paths that tasks set. With ``has_data`` the observations come from the experiment's ``data``.
    """
    if has_data:  # epydemix requires observations in the configuration
        config = {**config, "calibration": {**config["calibration"], "observed_data": []}}
    validate = validate_calibration_config if config.get("calibration") else validate_config
    try:
        verdict = validate(config)
    except (AttributeError, TypeError, KeyError, ValueError) as error:  # a section of the wrong type
        verdict = {"errors": [f"epydemix cannot read it: {type(error).__name__}: {error}"], "warnings": []}
    findings = [
        *_unknown_keys(config),
        *((_labelled_path(message, config), message) for message in verdict["errors"]),
        *_malformed_changes(config),
        *_contradictions(config, varied),
    ]
    return [_problem(path, message) for path, message in findings], list(verdict["warnings"])


def scenario_problems(config: Config, scenarios: Mapping[str, Config]) -> Iterator[Problem]:
    """What is wrong with the projection and its scenarios, beyond the problems of the configuration itself."""
    known = {*validate_config(config)["errors"]}
    layers = _mapping(config.get("population")).get("contact_layers")
    overlays = {("model", "projection"): _mapping(config.get("projection"))}
    overlays |= {("scenarios", name): overlay for name, overlay in scenarios.items()}
    found = [
        (root, path, message)
        for root, overlay in overlays.items()
        for path, message in (*_malformed_changes(overlay), *_unknown_layers(overlay, layers))
    ]
    if not found:  # epydemix's validation fails on malformed changes
        for name, changed in scenario_configs(config, scenarios):
            root = ("scenarios", name) if name else ("model", "projection")
            messages = [message for message in validate_config(changed)["errors"] if message not in known]
            found += [(root, _labelled_path(message, changed), message) for message in messages]
    for root, path, message in found:
        where = "scenarios: " + root[1] if root[0] == "scenarios" else "model: projection"
        yield Problem(f"{where}: {message}", path=(*root, *path))


def referenced_files(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """The files that the configuration names: the path of each setting, and the file relative to the experiment."""
    observed = (config.get("calibration") or {}).get("observed_data")
    if isinstance(observed, str):
        yield ("calibration", "observed_data"), observed
    for position, transition in enumerate((config.get("model") or {}).get("transitions") or []):
        schedule = transition.get("schedule") if isinstance(transition, dict) else None
        if isinstance(schedule, str):
            yield ("model", "transitions", position, "schedule"), schedule


def read_files(config: Config, workspace: Path) -> tuple[dict[str, bytes], list[Problem]]:
    """Name -> content of the files that the configuration names, and a problem for each that cannot be read."""
    files, problems = {}, []
    root = workspace.resolve()
    for place, name in referenced_files(config):
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            problems.append(_problem(place, f"{_dotted(place)}: {name!r} is outside the experiment's folder"))
        elif not path.is_file():
            hint = "drop a .zip bundle that holds it, or let epydrop pack it"
            problems.append(_problem(place, f"{_dotted(place)}: there is no file {name!r}", hint))
        else:
            files[name] = path.read_bytes()
    return files, problems


def _problem(path: KeyPath, message: str, hint: str = "") -> Problem:
    return Problem(f"model: {message}", hint=hint, path=("model", *path))


def _dotted(path: KeyPath) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _labelled_path(message: str, config: Config) -> KeyPath:
    """The path of the setting that an error message of epydemix is about; () for the configuration as a whole.

    epydemix 1.5 returns plain sentences. Most begin with the setting in its own notation, such as
    ``model.transitions[1].params[0]``, or with a section and one of its keys, such as ``parameters: 'betta'``.
    Only steps that exist in the configuration count, so a sentence that begins otherwise leads nowhere.
    """
    label = _LABEL.match(message)
    if label is None:
        return ()
    steps = [int(step) if step.isdecimal() else step for step in _STEP.findall(label["path"])]
    for root in ((), ("model",)):  # transitions are named without their section
        path = _existing((*root, *steps), config)
        if len(path) > len(root):
            return _existing((*path, label["key"]), config) if label["key"] else path
    return ()


def _existing(path: KeyPath, config: Config) -> KeyPath:
    """The part of a path that exists in the configuration."""
    value: Any = config
    for position, step in enumerate(path):
        try:
            value = value[step]
        except (IndexError, KeyError, TypeError):  # TypeError: a key for a list, or a step below a scalar
            return path[:position]
    return path


def _unknown_keys(config: Config) -> Iterator[Finding]:
    """Keys without effect: epydemix ignores them silently, so a misspelled setting would keep its default."""
    for section, known in _KEYS.items():
        root = (section,) if section else ()
        found = config.get(section) or {} if section else config
        if not isinstance(found, dict):
            yield root, f"'{section}' must be a mapping"
            continue
        for key in found:
            if key not in known:
                yield (*root, key), f"unknown key '{_dotted((*root, key))}'" + _hint(key, known)


def _malformed_changes(config: Config) -> Iterator[Finding]:
    """Interventions and overrides with missing or unknown keys, or that end before they start."""
    for section, keys in _CHANGE_KEYS.items():
        for position, change in enumerate(config.get(section) or []):
            path = (section, position)
            name = _dotted(path)
            if not isinstance(change, dict):
                yield path, f"{name} must be a mapping with {', '.join(keys)}"
                continue
            yield from ((path, f"{name}: {key} is missing") for key in keys if key not in change)
            if _ends_early(change.get("start_date"), change.get("end_date")):
                message = f"{name}: it ends on {change['end_date']}, before it starts on {change['start_date']}"
                yield (*path, "end_date"), message
            for key in change:
                if key not in keys:
                    yield (*path, key), f"{name}: unknown key '{key}'" + _hint(key, keys)


def _contradictions(config: Config, varied: Iterable[str]) -> Iterator[Finding]:
    """Settings that exclude each other, and values that would fail only during the calibration."""
    population = _mapping(config.get("population"))
    if population.get("size") is not None and population.get("name") not in (None, "default"):
        message = f"population: 'size' would be ignored, because '{population['name']}' brings its own; leave one out"
        yield ("population", "size"), message
    if isinstance(size := population.get("size"), int | float) and size <= 0:
        yield ("population", "size"), f"population.size is {size}, and must be a positive number of people"
    calibration = _mapping(config.get("calibration"))
    if calibration.get("distance") == "ae":
        message = "calibration.distance 'ae' is one number per day, but a calibration needs a single one; use 'mae'"
        yield ("calibration", "distance"), message
    for path in (("calibration", "num_particles"), ("projection", "n_simulations")):
        count = _mapping(config.get(path[0])).get(path[1])
        if isinstance(count, int) and count < 1:
            yield path, f"{path[1]} is {count}, and must be 1 or more"
    yield from _unknown_layers(config, population.get("contact_layers"))
    priors = _mapping(calibration.get("priors"))
    for name, prior in priors.items():
        if isinstance(prior, dict) and _is_empty(prior.get("low"), prior.get("high")):
            low_to_high = f"goes from {prior['low']} to {prior['high']}: low must be below high"
            yield ("calibration", "priors", name), f"calibration.priors.{name} {low_to_high}"
    if config.get("projection") and not config.get("calibration"):
        yield ("projection",), "projection needs a calibration to draw its parameters from"
    for name in sorted(set(priors) & {path.removeprefix("parameters.") for path in varied}):
        message = f"parameters.{name} is varied by tasks and has a prior; the calibration would overwrite it"
        yield ("calibration", "priors", name), message


def _unknown_layers(config: Config, layers: object) -> Iterator[Finding]:
    """Interventions on contact layers that the population does not have."""
    if not isinstance(layers, list):
        return
    for position, change in enumerate(config.get("interventions") or []):
        layer = change.get("layer") if isinstance(change, dict) else None
        if isinstance(layer, str) and layer not in (*layers, "all"):
            hint = _hint(layer, layers) or f" (there are {', '.join(map(str, layers))} and all)"
            message = f"interventions[{position}]: the population has no layer '{layer}'{hint}"
            yield ("interventions", position, "layer"), message


def _hint(word: object, known: Collection[str]) -> str:
    """The most similar known word in parentheses, or nothing."""
    hint = did_you_mean(str(word), known)
    return f" ({hint})" if hint else ""


def _is_empty(low: object, high: object) -> bool:
    return isinstance(low, int | float) and isinstance(high, int | float) and low >= high


def _ends_early(start: object, end: object) -> bool:
    """Whether a period ends before it starts; dates in any notation that epydemix accepts."""
    try:
        return bool(pd.Timestamp(str(start)) > pd.Timestamp(str(end)))
    except ValueError:
        return False  # epydemix reports the unreadable date


def _mapping(value: object) -> Config:
    """{} if the value isn't a mapping; reported elsewhere."""
    return value if isinstance(value, dict) else {}
