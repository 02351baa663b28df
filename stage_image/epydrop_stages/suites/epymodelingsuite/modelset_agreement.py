"""Checks that a basemodel and its modelset agree.

Beyond the package's own check: a parameter that neither file sets would fail in every task, and a prior for a parameter
that is not calibrated would be drawn and then ignored. References to unknown names are reported with their line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from epydrop.errors import KeyPath, Problem
from epydrop_stages.suites.epymodelingsuite.configuration import Configuration, Part

STRATEGIES = ("smc", "rejection", "top_fraction")  # epydemix's spelling

_VERBS = {"calibration": "calibrated", "sampling": "sampled"}
_OF_SEASONALITY = "seasonality_min"  # the package draws it from its prior whatever its type in the basemodel


def disagreements(configuration: Configuration) -> Iterator[Problem]:
    """All disagreements, each with its line. Both parts must have passed the package's schema."""
    basemodel, modelset = configuration.basemodel, configuration.modelset
    section = _section(modelset)
    for place, verb, is_set in _left_open(basemodel.document["model"], section):
        if modelset is None:
            yield basemodel.problem(f"is '{verb}', but there is no modelset", place)
        elif verb != _VERBS[modelset.kind]:
            yield basemodel.problem(f"is '{verb}', but the modelset is for {modelset.kind}", place)
        elif not is_set:
            yield basemodel.problem(f"is '{verb}', but the modelset does not set it", place)
    if modelset is not None:
        yield from _unknown_parameters(modelset, section, basemodel.document["model"])
    if modelset is not None and modelset.kind == "calibration":
        name = section["strategy"]["name"]
        if name.lower() not in STRATEGIES:
            path = ("modelset", "calibration", "strategy", "name")
            yield modelset.problem(f"epydemix has no strategy {name!r}", path, f"it has {', '.join(STRATEGIES)}")
        yield from _unknown_transitions(modelset, section, basemodel.document["model"])
        yield from _without_effect(modelset, section, basemodel.document["model"])


def _section(modelset: Part | None) -> Mapping[str, Any]:
    section: Mapping[str, Any] = modelset.document["modelset"][modelset.kind] if modelset else {}
    return section


def _left_open(model: Mapping[str, Any], section: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str, bool]]:
    """What a basemodel leaves to its modelset: path, 'sampled' or 'calibrated', and whether the section sets it."""
    verbs = set(_VERBS.values())
    start = (model.get("timespan") or {}).get("start_date")
    if start in verbs:
        yield ("model", "timespan", "start_date"), start, bool(section.get("start_date"))
    for position, compartment in enumerate(model["compartments"]):
        init = compartment.get("init")
        if isinstance(init, str) and init in verbs:
            is_set = compartment["id"] in (section.get("compartments") or {})
            yield ("model", "compartments", position, "init"), init, is_set
    for name, parameter in model["parameters"].items():
        if parameter["type"] in verbs:
            yield ("model", "parameters", name), parameter["type"], name in (section.get("parameters") or {})


def _unknown_parameters(modelset: Part, section: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[Problem]:
    for name in section.get("parameters") or {}:
        if name not in model["parameters"]:
            path = ("modelset", modelset.kind, "parameters", name)
            yield modelset.problem(f"the basemodel has no parameter {name!r}", path)


def _unknown_transitions(modelset: Part, section: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[Problem]:
    """Observations are compared with transitions, by epydemix's names for them."""
    known = {f"{each['source']}_to_{each['target']}_total" for each in model["transitions"]}
    for number, comparison in enumerate(section["comparison"]):
        for position, name in enumerate(comparison["simulation"]):
            if name not in known:
                path = ("modelset", "calibration", "comparison", number, "simulation", position)
                yield modelset.problem(f"the basemodel has no transition {name!r}", path)


def _without_effect(modelset: Part, section: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[Problem]:
    inits = {compartment["id"]: compartment.get("init") for compartment in model["compartments"]}
    for name in section.get("compartments") or {}:
        path = ("modelset", "calibration", "compartments", name)
        if name not in inits:
            yield modelset.problem(f"the basemodel has no compartment {name!r}", path)
        elif inits[name] == "default":
            yield modelset.problem("its prior has no effect: in the basemodel it gets everyone who is left", path)
    for name in section.get("parameters") or {}:
        kind = model["parameters"].get(name, {}).get("type")
        if kind not in {None, "calibrated"} and name != _OF_SEASONALITY:
            path = ("modelset", "calibration", "parameters", name)
            yield modelset.problem(
                f"its prior has no effect: in the basemodel it is '{kind}'", path, "type: calibrated"
            )
