"""What the sections of one experiment must agree on: which of them belong together, and which shut others out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from epydrop.experiment.problems import Finding, did_you_mean

_OF_EPYDEMIX = ("model", "data", "scenarios", "tasks", "outputs")
_OF_EPYMODELINGSUITE = ("config",)
_LAST_HORIZON = 3  # weeks after the reference date; FluSight's forecasts go from -1 to 3


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
            yield from _forecasts(document, document["model"])


def _forecasts(document: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[Finding]:
    calibration = model.get("calibration")
    if document["data"] is not None:
        if not isinstance(calibration, Mapping):
            yield Finding("data are for a calibration, and the model has none", "add model.calibration", ("data",))
        else:
            for key in ("observed_data", "observed_column"):
                if key in calibration:
                    yield Finding("'data' says what is observed already", "leave it out", ("model", "calibration", key))
    if document["scenarios"] and "projection" not in model:
        hint = "add model.projection; a plain simulation is varied with tasks.grid"
        yield Finding(
            "scenarios are projected from a calibration, and the model has no projection", hint, ("scenarios",)
        )
    if document["outputs"]["hub"] is not None:
        yield from _hub(document, model, document["outputs"]["hub"])


def _hub(document: Mapping[str, Any], model: Mapping[str, Any], hub: Mapping[str, Any]) -> Iterator[Finding]:
    at = ("outputs", "hub")
    if document["data"] is None or "projection" not in model:
        yield Finding("a hub file needs 'data' and 'model.projection': it is a forecast from observations", at=at)
        return
    if document["data"]["period"] != "week":
        yield Finding("the hub's forecasts are weekly, and so must the data be", "data.period: week", at)
    end = _date((model["projection"] or {}).get("simulation"))
    last = hub["reference_date"] + timedelta(weeks=_LAST_HORIZON)
    if end is not None and end < last:
        hint = f"model.projection.simulation.end_date: {last}"
        yield Finding(f"the projection ends on {end}, and the hub's last week ends on {last}", hint, at)
    tasks = document["tasks"]
    if tasks["grid"] or tasks["lhs"]:
        yield Finding("a hub file has one forecast a location, and tasks.grid or tasks.lhs make several", at=at)
    scenarios = document["scenarios"]
    if hub["scenario"] is None and len(scenarios) > 1:
        yield Finding("say which of the scenarios the hub gets", f"scenario: {next(iter(scenarios))}", at)
    if hub["scenario"] is not None and hub["scenario"] not in scenarios:
        message = f"there is no scenario '{hub['scenario']}'"
        yield Finding(message, did_you_mean(hub["scenario"], scenarios), (*at, "scenario"))


def _date(simulation: object) -> date | None:
    """The end of a simulation, where the file gives a plain date; epydemix checks all others."""
    text = simulation.get("end_date") if isinstance(simulation, Mapping) else None
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None
