"""Where the package, as published (0.1.0, November 2025), and epydemix 1.5 do not fit together, and what is done.

Each function leaves alone what fits already, so it may stay when the package has caught up, and go soon after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from typing import Any

from epydemix.calibration import CalibrationResults

_LONG_AGO = date(1900, 1, 6)
_ROUNDED = {0.02: 0.025, 0.98: 0.975}  # level of the package -> level of the hub


def with_known_strategy(configs: Any) -> Any:
    """A BuilderOutput whose strategy has the name that epydemix knows it by; the package's schema offers 'SMC'."""
    strategy = configs.calibration
    if strategy:
        configs.calibration = strategy.model_copy(update={"name": str(strategy.name).lower()})
    return configs


class _Dated(CalibrationResults):  # type: ignore[misc]  # epydemix has no types
    """Results whose quantiles of projections carry dates, and those for a hub the hub's levels.

    epydemix up to 1.0 computed quantiles of the dates too, which the package relies on; from 1.1 on the column holds
    0, 1, 2 and so on unless dates are given, and every table of the package would be wrong without a word. And the
    package rounds its list of the hub's levels to two digits, so that two of the 23 are none that a hub takes; it
    names the variables that it wants only when it makes a hub's file.
    """

    def get_projection_quantiles(self, dates: Any = None, **options: Any) -> Any:
        runs = self.projections.get(options.get("scenario_id", "baseline"))
        if dates is None and runs:
            dates = runs[0]["date"]
            unknown = set(options.get("variables") or ()) - {*runs[0], "quantile"}
            if unknown:  # the package goes on without them after a ValueError, and not after another error
                raise ValueError(f"the projections have no {', '.join(sorted(unknown))}")
        if options.get("variables"):
            options["quantiles"] = [_ROUNDED.get(float(level), float(level)) for level in options["quantiles"]]
        return super().get_projection_quantiles(dates, **options)


def with_dates(output: Any) -> Any:
    """A CalibrationOutput with dated quantiles, and without the projections that failed, which it cannot take."""
    results = {field.name: getattr(output.results, field.name) for field in fields(output.results)}
    results["projections"] = {name: [run for run in runs if run] for name, runs in output.results.projections.items()}
    return output.model_copy(update={"results": _Dated(**results)})


def answerable(config: Any, output: Any) -> Any:
    """The same OutputConfig, asked of a calibration in a way that version 0.1.0 can answer.

    It reads variables that it has set only if a FluSight file is asked for, or if transitions are named one by one;
    so it is asked for the FluSight file of a date long ago, which has no row, and is told all names.
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
