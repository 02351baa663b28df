"""Names and meaning of a model's variables, derived from the configuration before anything is simulated."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from epydemix.model.predefined_models import SUPPORTED_MODELS, load_predefined_model

from epydrop_stages.suites.epydemix.tasks import Config

_MODULES = ("waning_immunity", "vaccination", "outcome")


@dataclass(frozen=True)
class Structure:
    """Compartments and transitions in epydemix's order. ``infections`` are mediated by the ``infectious``."""

    compartments: tuple[str, ...]
    transitions: tuple[str, ...]
    infections: tuple[str, ...]
    infectious: tuple[str, ...]

    def variables(self) -> list[str]:
        """Totals over all age groups: compartments in people, transitions in people per day."""
        return [f"{name}_total" for name in (*self.compartments, *self.transitions)]


def structure_of(config: Config) -> Structure:
    """The model's structure; the configuration must be valid."""
    model = config["model"]
    if model.get("type", "custom") in SUPPORTED_MODELS:
        built = load_predefined_model(model["type"], **{key: model[key] for key in _MODULES if key in model})
        compartments = list(built.compartments)
        transitions = [(tr.source, tr.target, tr.kind, tr.params) for tr in built.transitions_list]
    else:
        compartments = list(model["compartments"])
        transitions = [(tr["source"], tr["target"], tr["kind"], tr.get("params")) for tr in model["transitions"]]
    mediated = [(source, target, params[1]) for source, target, kind, params in transitions if kind == "mediated"]
    return Structure(
        tuple(compartments),
        _unique(f"{source}_to_{target}" for source, target, _, _ in transitions),
        _unique(f"{source}_to_{target}" for source, target, _ in mediated),
        _unique(agent for _, _, agent in mediated),
    )


def variable_names(configs: Iterable[Config]) -> list[str]:
    """Variables of all these configurations, without duplicates."""
    names: dict[str, None] = {}
    targets: dict[str, None] = {}
    seen: set[str] = set()
    for config in configs:
        if target := (config.get("calibration") or {}).get("target_variable"):
            targets[target] = None
        if (model := json.dumps(config["model"], sort_keys=True)) not in seen:
            seen.add(model)
            names.update(dict.fromkeys(structure_of(config).variables()))
    return list({**names, **targets})


def prior_names(configs: Iterable[Config]) -> list[str]:
    """Calibrated parameters of all these configurations, without duplicates."""
    names: dict[str, None] = {}
    for config in configs:
        names.update(dict.fromkeys((config.get("calibration") or {}).get("priors") or {}))
    return list(names)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def parameter_units(config: Config) -> dict[str, str]:
    """Parameter -> unit for predefined models; {} for custom models, whose units are unknown."""
    model = config["model"]
    if model.get("type", "custom") not in SUPPORTED_MODELS:
        return {}
    built = load_predefined_model(model["type"], **{key: model[key] for key in _MODULES if key in model})
    return {spec.name: spec.units.replace("1/days", "per day") for spec in built.parameter_registry if spec.units}
