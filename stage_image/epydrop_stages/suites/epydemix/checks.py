"""What is wrong with an epydemix configuration: epydemix's own validation, and what it lets pass but should not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path

from epydemix.cli.config import validate_calibration_config, validate_config

from epydrop.errors import Problem
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


def problems_and_warnings(config: Config, varied: Iterable[str]) -> tuple[list[Problem], list[str]]:
    """Every problem of this configuration, and what epydemix only warns of; ``varied`` are the paths that tasks set."""
    validate = validate_calibration_config if config.get("calibration") else validate_config
    try:
        verdict = validate(config)
    except (AttributeError, TypeError, KeyError, ValueError) as error:  # a section of the wrong type
        verdict = {"errors": [f"epydemix cannot read it: {type(error).__name__}: {error}"], "warnings": []}
    messages = [*_unknown_keys(config), *verdict["errors"], *_contradictions(config, varied)]
    return [Problem(f"model: {message}", FILE) for message in messages], list(verdict["warnings"])


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
                    hint="drop a .zip bundle that holds it, or let `epydrop submit` pack it",
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
                close = difflib.get_close_matches(str(key), known, n=1)
                yield f"unknown key '{where}'" + (f" (did you mean '{close[0]}'?)" if close else "")


def _contradictions(config: Config, varied: Iterable[str]) -> Iterator[str]:
    """Settings of which one would be ignored, or that fail only once a calibration is under way."""
    population = config.get("population") or {}
    if population.get("size") is not None and population.get("name") not in (None, "default"):
        yield f"population: 'size' would be ignored, because '{population['name']}' brings its own; leave one out"
    calibration = config.get("calibration") or {}
    if calibration.get("distance") == "ae":
        yield "calibration.distance 'ae' is one number per day, and a calibration needs a single one; use 'mae'"
    if config.get("projection") and not calibration:
        yield "projection needs a calibration to draw its parameters from"
    for name in sorted(set(calibration.get("priors") or {}) & {path.removeprefix("parameters.") for path in varied}):
        yield f"parameters.{name} is varied by tasks and has a prior; the calibration would overwrite it"
