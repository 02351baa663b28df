"""Adapts the package as published (0.1.0, November 2025) to epydemix 1.5, with which it is incompatible in places.

Each function leaves alone what is compatible, so that a newer version of the package works too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from typing import Any

from epydemix.calibration import CalibrationResults

_LONG_AGO = date(1900, 1, 6)  # a Saturday, as the schema requires
_ROUNDED = {0.02: 0.025, 0.98: 0.975}  # the package's level -> the hub's level


def with_known_strategy(configs: Any) -> Any:
    """A BuilderOutput with epydemix's lower-case name of the strategy; the package's schema offers 'SMC'."""
    strategy = configs.calibration
    if strategy:
        configs.calibration = strategy.model_copy(update={"name": str(strategy.name).lower()})
    return configs


class _Dated(CalibrationResults):  # type: ignore[misc]  # epydemix has no types
    """Results whose projection quantiles have dates, and the hub's levels in a hub file.

    The package relies on epydemix up to 1.0, which returned dates with the quantiles. From 1.1 on the date column is
    0, 1, 2, ... unless dates are passed, and every table of the package would silently be wrong. Also, the package
    rounds the hub's levels to two digits, so that two of the 23 are not accepted by the hub. It passes ``variables``
    only when it makes a hub file.
    """

    def get_projection_quantiles(self, dates: Any = None, **options: Any) -> Any:
        runs = self.projections.get(options.get("scenario_id", "baseline"))
        if dates is None and runs:
            dates = runs[0]["date"]
            unknown = set(options.get("variables") or ()) - {*runs[0], "quantile"}
            if unknown:  # a ValueError is the only error after which the package continues
                raise ValueError(f"the projections have no {', '.join(sorted(unknown))}")
        if options.get("variables"):
            options["quantiles"] = [_ROUNDED.get(float(level), float(level)) for level in options["quantiles"]]
        return super().get_projection_quantiles(dates, **options)


def with_dates(output: Any) -> Any:
    """A CalibrationOutput with dated quantiles and without failed projections, which the package cannot handle."""
    results = {field.name: getattr(output.results, field.name) for field in fields(output.results)}
    results["projections"] = {name: [run for run in runs if run] for name, runs in output.results.projections.items()}
    return output.model_copy(update={"results": _Dated(**results)})


def answerable(config: Any, output: Any) -> Any:
    """An equivalent OutputConfig that version 0.1.0 can process for a calibration.

    It uses variables that it sets only if a FluSight file is requested or transitions are named one by one. So this
    requests the FluSight file of a date long ago, which has no rows, and names all transitions.
    """
    from epymodelingsuite.schema.output import FlusightForecastOutput  # noqa: PLC0415 - see package.py

    section = config.output
    flusight = section.flusight_format or FlusightForecastOutput(reference_date=_LONG_AGO)
    quantiles = section.quantiles
    if quantiles and quantiles.transitions is True:
        names = _transitions(output.results.projections)
        quantiles = quantiles.model_copy(update={"transitions": names or False})
    changes = {"flusight_format": flusight, "quantiles": quantiles}
    return config.model_copy(update={"output": section.model_copy(update=changes)})


def _transitions(projections: Mapping[str, Any]) -> list[str]:
    first: Mapping[str, Any] = next((run for runs in projections.values() for run in runs if run), {})
    return [name for name in first if "_to_" in name]
