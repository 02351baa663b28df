"""What is wrong with an epydemix configuration: epydemix's own validation, and what it lets pass but should not.

Looks at one configuration at a time, and simulates nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import pandas as pd
from epydemix.cli.config import validate_calibration_config, validate_config

from epydrop.errors import Problem
from epydrop.experiment.text.problems import did_you_mean
from epydrop_stages.suites.epydemix.projection import scenario_configs
from epydrop_stages.suites.epydemix.tasks import Config

FILE = "experiment.yaml"

_SECTIONS = {
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


_CHANGES = {
    "interventions": ("layer", "start_date", "end_date", "reduction"),
    "overrides": ("parameter", "start_date", "end_date", "value"),
}


def problems_and_warnings(
    config: Config, varied: Iterable[str], *, has_data: bool = False
) -> tuple[list[Problem], list[str]]:
    """Every problem of this configuration, and what epydemix only warns of.

    ``varied`` are the paths that tasks set; with ``data`` the observations come from elsewhere.
    """
    if has_data:
        config = {**config, "calibration": {**config["calibration"], "observed_data": []}}
    validate = validate_calibration_config if config.get("calibration") else validate_config
    try:
        verdict = validate(config)
    except (AttributeError, TypeError, KeyError, ValueError) as error:  # a section of the wrong type
        verdict = {"errors": [f"epydemix cannot read it: {type(error).__name__}: {error}"], "warnings": []}
    messages = [*_unknown_keys(config), *verdict["errors"], *_odd_changes(config), *_contradictions(config, varied)]
    return [Problem(f"model: {message}", FILE) for message in messages], list(verdict["warnings"])


def scenario_problems(config: Config, scenarios: Mapping[str, Config]) -> Iterator[Problem]:
    """What is wrong with the projection and its scenarios, beyond what is wrong with the configuration itself."""
    known = {*validate_config(config)["errors"]}
    layers = _mapping(config.get("population")).get("contact_layers")
    overlays = {"model: projection": _mapping(config.get("projection"))}
    overlays |= {f"scenarios: {name}": overlay for name, overlay in scenarios.items()}
    odd = [
        (place, message)
        for place, overlay in overlays.items()
        for message in (*_odd_changes(overlay), *_without_a_layer(overlay, layers))
    ]
    if not odd:
        for name, changed in scenario_configs(config, scenarios):
            place = f"scenarios: {name}" if name else "model: projection"
            odd += [(place, message) for message in validate_config(changed)["errors"] if message not in known]
    yield from (Problem(f"{place}: {message}", FILE) for place, message in odd)


def referenced_files(config: Config) -> Iterator[tuple[str, str]]:
    """The files that the configuration names: where it does, and the path relative to the experiment."""
    observed = (config.get("calibration") or {}).get("observed_data")
    if isinstance(observed, str):
        yield "calibration.observed_data", observed
    for position, transition in enumerate((config.get("model") or {}).get("transitions") or []):
        schedule = transition.get("schedule") if isinstance(transition, dict) else None
        if isinstance(schedule, str):
            yield f"model.transitions[{position}].schedule", schedule


def read_files(config: Config, workspace: Path) -> tuple[dict[str, bytes], list[Problem]]:
    """The contents of the files that the configuration names; a path outside the bundle is a problem."""
    files, problems = {}, []
    root = workspace.resolve()
    for place, name in referenced_files(config):
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            problems.append(Problem(f"model: {place}: {name!r} lies outside the experiment's folder", FILE))
        elif not path.is_file():
            problems.append(
                Problem(
                    f"model: {place}: there is no file {name!r}",
                    FILE,
                    hint="drop a .zip bundle that holds it, or let epydrop pack it",
                )
            )
        else:
            files[name] = path.read_bytes()
    return files, problems


def _unknown_keys(config: Config) -> Iterator[str]:
    """Keys that nothing would act on: epydemix ignores them in silence."""
    for section, known in _SECTIONS.items():
        found = config.get(section) or {} if section else config
        if not isinstance(found, dict):
            yield f"'{section}' must be a mapping"
            continue
        for key in found:
            if key not in known:
                where = f"{section}.{key}" if section else key
                yield f"unknown key '{where}'" + _hint(key, known)


def _odd_changes(config: Config) -> Iterator[str]:
    """Interventions and overrides with a key too many or too few; epydemix would stumble over them, or not look."""
    for section, keys in _CHANGES.items():
        for position, change in enumerate(config.get(section) or []):
            place = f"{section}[{position}]"
            if not isinstance(change, dict):
                yield f"{place} must be a mapping with {', '.join(keys)}"
                continue
            yield from (f"{place}: {key} is missing" for key in keys if key not in change)
            if _ends_early(change.get("start_date"), change.get("end_date")):
                yield f"{place}: it ends on {change['end_date']}, before it starts on {change['start_date']}"
            for key in change:
                if key not in keys:
                    yield f"{place}: unknown key '{key}'" + _hint(key, keys)


def _contradictions(config: Config, varied: Iterable[str]) -> Iterator[str]:
    """Settings of which one would be ignored, or that fail only once a calibration is under way."""
    population = _mapping(config.get("population"))
    if population.get("size") is not None and population.get("name") not in (None, "default"):
        yield f"population: 'size' would be ignored, because '{population['name']}' brings its own; leave one out"
    calibration = _mapping(config.get("calibration"))
    if calibration.get("distance") == "ae":
        yield "calibration.distance 'ae' is one number per day, and a calibration needs a single one; use 'mae'"
    projection, priors = _mapping(config.get("projection")), _mapping(calibration.get("priors"))
    for section, name in ((calibration, "num_particles"), (projection, "n_simulations")):
        if isinstance(count := section.get(name), int) and count < 1:
            yield f"{name} is {count}, and must be 1 or more"
    if isinstance(size := population.get("size"), int | float) and size <= 0:
        yield f"population.size is {size}, and must be a number of people"
    yield from _without_a_layer(config, population.get("contact_layers"))
    for name, prior in priors.items():
        if isinstance(prior, dict) and _is_empty(prior.get("low"), prior.get("high")):
            yield f"calibration.priors.{name} goes from {prior['low']} to {prior['high']}: low must be below high"
    if config.get("projection") and not config.get("calibration"):
        yield "projection needs a calibration to draw its parameters from"
    for name in sorted(set(priors) & {path.removeprefix("parameters.") for path in varied}):
        yield f"parameters.{name} is varied by tasks and has a prior; the calibration would overwrite it"


def _without_a_layer(config: Config, layers: object) -> Iterator[str]:
    """Interventions on contacts that the population does not have."""
    if not isinstance(layers, list):
        return
    for position, change in enumerate(config.get("interventions") or []):
        layer = change.get("layer") if isinstance(change, dict) else None
        if isinstance(layer, str) and layer not in (*layers, "all"):
            hint = _hint(layer, layers) or f" (there are {', '.join(map(str, layers))} and all)"
            yield f"interventions[{position}]: the population has no layer '{layer}'{hint}"


def _hint(word: object, known: Collection[str]) -> str:
    """The known word that is nearest, in brackets, or nothing."""
    hint = did_you_mean(str(word), known)
    return f" ({hint})" if hint else ""


def _is_empty(low: object, high: object) -> bool:
    return isinstance(low, int | float) and isinstance(high, int | float) and low >= high


def _ends_early(start: object, end: object) -> bool:
    """Whether a time is over before it begins; dates may be written in any way that epydemix reads."""
    try:
        return bool(pd.Timestamp(str(start)) > pd.Timestamp(str(end)))
    except ValueError:
        return False  # epydemix says which of them it cannot read


def _mapping(value: object) -> Config:
    """A section, or an empty one in the place of what is none: that is told elsewhere."""
    return value if isinstance(value, dict) else {}
