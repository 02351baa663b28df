"""What the sections of a forecast imply and must agree on: data, calibration, projection, scenarios, the hub file.

Knows the experiment's own keys and, of an epydemix configuration, only those for dates and for what is compared with
the data. The builder validates the rest of it, and the data themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from epydrop.errors import KeyPath
from epydrop.experiment.hub_formats import HUB_FORMATS
from epydrop.experiment.sections.outputs import Hub
from epydrop.experiment.text.problems import Finding, did_you_mean

Section = Mapping[str, Any]

_CALIBRATION: KeyPath = ("model", "calibration")
_PROJECTION: KeyPath = ("model", "projection")
_HUB: KeyPath = ("outputs", "hub")


def ending(config: Any, end: date) -> Any:
    """The configuration with an end of its simulation, unless it sets one; anything but a mapping is returned as is."""
    simulation = config.get("simulation", {}) if isinstance(config, Mapping) else None
    return {**config, "simulation": {"end_date": str(end), **simulation}} if isinstance(simulation, Mapping) else config


def with_projection_end(model: Section, hub: Hub | None) -> dict[str, Any]:
    """The model, its projection ending with the hub's last week unless it sets an end."""
    if hub is None or "projection" not in model:
        return dict(model)
    last = _last_week(hub.format, hub.reference_date)
    return {**model, "projection": ending(model["projection"] or {}, last)}


def conflicts(document: Section, model: Section) -> Iterator[Finding]:
    """Everything about a forecast that is inconsistent. ``document`` is the whole experiment."""
    projection = _section(model, "projection") if "projection" in model else None
    if document["data"] is not None:
        yield from _data_conflicts(document, document["data"], model)
        if projection is not None:
            yield from _projection_conflicts(document, projection)
    if document["scenarios"] and projection is None:
        hint = "add model.projection, or vary a plain simulation with tasks.grid"
        yield Finding("scenarios need a projection, and the model has none", hint, ("scenarios",))
    yield from _parameters_with_priors(document, model)
    if document["outputs"]["hub"] is not None:
        yield from _hub_conflicts(document, model, document["outputs"]["hub"])


# -- data and projection -----------------------------------------------------------------------


def _data_conflicts(document: Section, data: Section, model: Section) -> Iterator[Finding]:
    calibration = model.get("calibration")
    if not isinstance(calibration, Mapping):
        yield Finding("data need a calibration, and the model has none", "add model.calibration", ("data",))
        return
    for key in ("observed_data", "observed_column"):
        if key in calibration:
            yield Finding("'data' defines the observations already", "remove this key", (*_CALIBRATION, key))
    if not calibration.get("target_variable"):
        hint = "for example target_variable: Infected_to_Hospitalized_total"
        yield Finding("'target_variable' is missing: it names what the data count", hint, _CALIBRATION)
    last, end = data["fitting_window"]["end_date"], _end(model)
    if end is not None and end != last:
        message = f"a calibration to 'data' ends with the fitting window, on {last}, not on {end}"
        yield Finding(message, "remove this key", ("model", "simulation", "end_date"))
    yield from _location_conflicts(document, data, model)


def _location_conflicts(document: Section, data: Section, model: Section) -> Iterator[Finding]:
    # An unnamed population is called "population", as the suite names its only location.
    populations = document["tasks"]["populations"] or [_section(model, "population").get("name", "population")]
    if data["location_column"] is None and len(populations) > 1:
        message = f"without a column of locations a file has one location, and there are {len(populations)} populations"
        yield Finding(message, at=("data", "location_column"))
    for name in data["names"]:
        if name not in populations:
            hint = did_you_mean(name, populations) or f"there is {', '.join(populations[:5])}"
            yield Finding("this is not a population of the experiment", hint, ("data", "names", name))


def _projection_conflicts(document: Section, projection: Section) -> Iterator[Finding]:
    last, end = document["data"]["fitting_window"]["end_date"], _end(projection)
    if "end_date" not in _section(projection, "simulation") and document["outputs"]["hub"] is None:
        hint = f"for example simulation: {{end_date: {last + timedelta(weeks=4)}}}"
        yield Finding("the projection has no end", hint, _PROJECTION)
    if end is not None and end <= last:
        message = f"expected a date after the fitting window, which ends on {last}, got {end}"
        yield Finding(message, at=(*_PROJECTION, "simulation", "end_date"))
    for key in ("start_date", "dt"):
        if key in _section(projection, "simulation"):
            message = f"a projection continues the accepted simulations, and has their {key}"
            yield Finding(message, "remove this key", (*_PROJECTION, "simulation", key))


def _parameters_with_priors(document: Section, model: Section) -> Iterator[Finding]:
    """Parameters that a projection takes from the posterior, so that they cannot be set as well."""
    priors = _section(_section(model, "calibration"), "priors")
    overlays: list[tuple[KeyPath, Section]] = [(_PROJECTION, _section(model, "projection"))]
    overlays += [(("scenarios", name), overlay) for name, overlay in document["scenarios"].items()]
    for at, overlay in overlays:
        for name in _section(overlay, "parameters"):
            if name in priors:
                message = f"'{name}' has a prior, so a projection takes it from the posterior"
                yield Finding(message, "to change it from a date on, use 'overrides'", (*at, "parameters", name))


# -- the hub file ------------------------------------------------------------------------------


def _hub_conflicts(document: Section, model: Section, hub: Section) -> Iterator[Finding]:
    if document["data"] is None or "projection" not in model:
        yield Finding("a hub file needs 'data' and 'model.projection': it is a forecast from observations", at=_HUB)
        return
    if document["data"]["period"] != "week":
        yield Finding("the hub's forecasts are weekly, so the data must be too", "data.period: week", _HUB)
    target = _section(model, "calibration").get("target_variable")
    # epydemix names the transitions between compartments FROM_to_TO; everything else is a state, not a count per week.
    if isinstance(target, str) and "_to_" not in target:
        message = f"the hub counts admissions in a week, and '{target}' is not a transition"
        hint = "for example Infected_to_Hospitalized_total"
        yield Finding(message, hint, (*_CALIBRATION, "target_variable"))
    yield from _date_conflicts(document, model, hub)
    if hub["rate_trends"] and not HUB_FORMATS[hub["format"]].trends:
        yield Finding(f"the hub '{hub['format']}' has no target for trends", "remove this key", (*_HUB, "rate_trends"))
    if document["tasks"]["grid"] or document["tasks"]["lhs"]:
        message = "a hub file has one forecast per location, and tasks.grid or tasks.lhs make several"
        yield Finding(message, at=_HUB)
    yield from _scenario_conflicts(hub["scenario"], document["scenarios"])


def _date_conflicts(document: Section, model: Section, hub: Section) -> Iterator[Finding]:
    end, last = _end(_section(model, "projection")), _last_week(hub["format"], hub["reference_date"])
    if end is not None and end < last:
        hint = f"model.projection.simulation.end_date: {last}"
        yield Finding(f"the projection ends on {end}, before the hub's last week ends on {last}", hint, _HUB)
    fitted = document["data"]["fitting_window"]["end_date"]
    if fitted > hub["reference_date"]:
        message = f"the fitting window ends on {fitted}, after the reference date; a forecast must not use later data"
        yield Finding(message, at=(*_HUB, "reference_date"))


def _scenario_conflicts(chosen: str | None, scenarios: Section) -> Iterator[Finding]:
    if chosen is None and len(scenarios) > 1:
        yield Finding("choose the scenario to submit", f"scenario: {next(iter(scenarios))}", _HUB)
    if chosen is not None and chosen not in scenarios:
        yield Finding(f"there is no scenario '{chosen}'", did_you_mean(chosen, scenarios), (*_HUB, "scenario"))


def _last_week(format_: str, reference_date: date) -> date:
    """The last day that the hub asks for."""
    return reference_date + timedelta(weeks=HUB_FORMATS[format_].last_horizon)


# -- an epydemix configuration, not validated yet: anything may be missing or of the wrong type ---


def _section(outer: object, name: str) -> Section:
    """A section of the configuration; {} if the value isn't a mapping, which is reported elsewhere."""
    found = outer.get(name) if isinstance(outer, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _end(config: Section) -> date | None:
    """The end of a simulation, if the file gives a plain date; epydemix validates everything else."""
    text = _section(config, "simulation").get("end_date")
    try:
        return date.fromisoformat(str(text)[:10])  # a time of day after the date does not matter here
    except ValueError:
        return None
