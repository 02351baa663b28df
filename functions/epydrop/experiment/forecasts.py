"""What a forecast's sections imply and must agree on: data, calibration, projection, scenarios and the hub file.

Knows the experiment's own keys and, of an epydemix configuration, only those that say from when to when it goes and
what is compared with the data; the builder checks the rest, and the data themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from epydrop.experiment.sections import Hub
from epydrop.experiment.text.problems import Finding, did_you_mean

Section = Mapping[str, Any]

LAST_HORIZON = 3  # weeks after the reference date; FluSight's forecasts go from -1 to 3

_PROJECTION_END = ("model", "projection", "simulation", "end_date")


def ending(config: Any, end: date) -> Any:
    """A configuration with an end of its simulation, unless it has one or is no configuration at all."""
    simulation = config.get("simulation", {}) if isinstance(config, Mapping) else None
    return {**config, "simulation": {"end_date": str(end), **simulation}} if isinstance(simulation, Mapping) else config


def with_projection_end(model: Section, hub: Hub | None) -> dict[str, Any]:
    """The model; its projection ends with the hub's last week, where it does not say when."""
    if hub is None or "projection" not in model:
        return dict(model)
    last = hub.reference_date + timedelta(weeks=LAST_HORIZON)
    return {**model, "projection": ending(model["projection"] or {}, last)}


def contradictions(document: Section, model: Section) -> Iterator[Finding]:
    """Everything about a forecast that cannot go together."""
    projection = _section(model, "projection") if "projection" in model else None
    if document["data"] is not None:
        yield from _data(document, document["data"], model)
        if projection is not None:
            yield from _projection(document, projection)
    if document["scenarios"] and projection is None:
        hint = "add model.projection; a plain simulation is varied with tasks.grid"
        yield Finding(
            "scenarios are projected from a calibration, and the model has no projection", hint, ("scenarios",)
        )
    yield from _fitted_parameters(document, model)
    if document["outputs"]["hub"] is not None:
        yield from _hub(document, model, document["outputs"]["hub"])


# -- data --------------------------------------------------------------------------------------


def _data(document: Section, data: Section, model: Section) -> Iterator[Finding]:
    calibration = model.get("calibration")
    if not isinstance(calibration, Mapping):
        yield Finding("data are for a calibration, and the model has none", "add model.calibration", ("data",))
        return
    for key in ("observed_data", "observed_column"):
        if key in calibration:
            yield Finding("'data' says what is observed already", "leave it out", ("model", "calibration", key))
    if not calibration.get("target_variable"):
        hint = "such as target_variable: Infected_to_Hospitalized_total"
        yield Finding("'target_variable' is missing: it names what the data count", hint, ("model", "calibration"))
    last = data["fitting_window"]["end_date"]
    end = _end(model)
    if end is not None and end != last:
        message = f"a calibration to 'data' ends with the fitting window, on {last}, not on {end}"
        yield Finding(message, "leave it out", ("model", "simulation", "end_date"))
    yield from _locations(document, data, model)


def _locations(document: Section, data: Section, model: Section) -> Iterator[Finding]:
    populations = document["tasks"]["populations"] or [_section(model, "population").get("name", "population")]
    if data["location_column"] is None and len(populations) > 1:
        message = f"a file without a column of locations is for one population, and there are {len(populations)}"
        yield Finding(message, at=("data", "location_column"))
    for name in data["names"]:
        if name not in populations:
            hint = did_you_mean(name, populations) or f"there is {', '.join(populations[:5])}"
            yield Finding("this is no population of the experiment", hint, ("data", "names", name))


def _projection(document: Section, projection: Section) -> Iterator[Finding]:
    last, end = document["data"]["fitting_window"]["end_date"], _end(projection)
    if "end_date" not in _section(projection, "simulation") and document["outputs"]["hub"] is None:
        hint = f"such as simulation: {{end_date: {last + timedelta(weeks=4)}}}"
        yield Finding("say how far the projection goes", hint, ("model", "projection"))
    if end is not None and end <= last:
        yield Finding(f"expected a date after the fitting window, which ends on {last}, got {end}", at=_PROJECTION_END)
    for key in ("start_date", "dt"):
        if key in _section(projection, "simulation"):
            message = "a projection from data goes on where the accepted simulations end, and so has theirs"
            yield Finding(message, "leave it out", (*_PROJECTION_END[:-1], key))


def _fitted_parameters(document: Section, model: Section) -> Iterator[Finding]:
    """Parameters that come from the posterior, and so cannot be set as well."""
    priors = _section(_section(model, "calibration"), "priors")
    places = [(("model", "projection"), _section(model, "projection"))]
    places += [(("scenarios", name), overlay) for name, overlay in document["scenarios"].items()]
    for at, overlay in places:
        for name in _section(overlay, "parameters"):
            if name in priors:
                message = f"'{name}' has a prior, so a projection takes it from the posterior"
                yield Finding(message, "change it from a date on, with 'overrides'", (*at, "parameters", name))


# -- the hub file ------------------------------------------------------------------------------


def _hub(document: Section, model: Section, hub: Section) -> Iterator[Finding]:
    at = ("outputs", "hub")
    if document["data"] is None or "projection" not in model:
        yield Finding("a hub file needs 'data' and 'model.projection': it is a forecast from observations", at=at)
        return
    if document["data"]["period"] != "week":
        yield Finding("the hub's forecasts are weekly, and so must the data be", "data.period: week", at)
    target = _section(model, "calibration").get("target_variable")
    if isinstance(target, str) and "_to_" not in target:
        message = f"the hub counts admissions of a week, and '{target}' is no transition"
        yield Finding(message, "such as Infected_to_Hospitalized_total", ("model", "calibration", "target_variable"))
    yield from _weeks(document, model, hub)
    tasks = document["tasks"]
    if tasks["grid"] or tasks["lhs"]:
        yield Finding("a hub file has one forecast a location, and tasks.grid or tasks.lhs make several", at=at)
    scenarios = document["scenarios"]
    if hub["scenario"] is None and len(scenarios) > 1:
        yield Finding("say which of the scenarios the hub gets", f"scenario: {next(iter(scenarios))}", at)
    if hub["scenario"] is not None and hub["scenario"] not in scenarios:
        message = f"there is no scenario '{hub['scenario']}'"
        yield Finding(message, did_you_mean(hub["scenario"], scenarios), (*at, "scenario"))


def _weeks(document: Section, model: Section, hub: Section) -> Iterator[Finding]:
    at = ("outputs", "hub")
    end, last = _end(_section(model, "projection")), hub["reference_date"] + timedelta(weeks=LAST_HORIZON)
    if end is not None and end < last:
        hint = f"model.projection.simulation.end_date: {last}"
        yield Finding(f"the projection ends on {end}, and the hub's last week ends on {last}", hint, at)
    fitted = document["data"]["fitting_window"]["end_date"]
    if fitted > hub["reference_date"]:
        message = f"the fitting window ends on {fitted}, after the reference date; no forecast may see its future"
        yield Finding(message, at=(*at, "reference_date"))


# -- an epydemix configuration, of which anything may be missing or of the wrong kind ------------


def _section(outer: object, name: str) -> Section:
    found = outer.get(name) if isinstance(outer, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _end(config: Section) -> date | None:
    """The end of a simulation, where the file gives a plain date; epydemix checks all others."""
    text = _section(config, "simulation").get("end_date")
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None
