"""Describes the model from the configuration, for quality checks and report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from scipy import stats

from epydrop_stages.contract.description import Description, Prior
from epydrop_stages.suites.epymodelingsuite.configuration import Configuration

START = "start_date"
_STEP = 1.0  # days; the package's default time step
_TOTAL = "_total"  # epydemix's suffix for sums over age groups


class _Counts:
    """A discrete distribution with a density, so that it can be drawn and compared like a continuous one."""

    def __init__(self, distribution: Any) -> None:
        self._distribution = distribution

    def __getattr__(self, name: str) -> Any:
        return getattr(self._distribution, name)

    def pdf(self, x: Any) -> Any:
        """Probability of the nearest whole number: the density of a histogram with bins of width 1."""
        return self._distribution.pmf(np.rint(x))


def describe(configuration: Configuration) -> Description:
    """The model, the same for every task; tasks differ in population and samples only."""
    model = configuration.basemodel.document["model"]
    span = model["timespan"]
    mediated = [each for each in model["transitions"] if each["type"] == "mediated"]
    name = model.get("name") or "model"
    return Description(
        words=f"{name}, {span['start_date']} to {span['end_date']}, steps of {span.get('delta_t', _STEP)} days",
        document="\n".join(part.text.decode() for part in configuration),
        compartments=[f"{each['id']}{_TOTAL}" for each in model["compartments"]],
        infectious=list(dict.fromkeys(f"{each['mediator']}{_TOTAL}" for each in mediated)),
        infections=list(dict.fromkeys(f"{each['source']}_to_{each['target']}{_TOTAL}" for each in mediated)),
        priors=dict(_priors(configuration)),
        units=_units(configuration),
    )


def varied(configuration: Configuration) -> dict[str, str]:
    """The sampled values: dotted path -> 'number' or 'text'; {} if nothing is sampled."""
    if configuration.modelset is None or configuration.modelset.kind != "sampling":
        return {}
    samplers = configuration.modelset.document["modelset"]["sampling"]["samplers"]
    parameters = [name for sampler in samplers for name in sampler.get("parameters") or ()]
    compartments = [name for sampler in samplers for name in sampler.get("compartments") or ()]
    found = {f"parameters.{name}": "number" for name in parameters if name != START}
    found |= {f"compartments.{name}": "number" for name in compartments}
    return {**found, START: "text"} if START in parameters else found


def _units(configuration: Configuration) -> dict[str, str]:
    """Unit of a calibrated start date, which the package represents as a number of days."""
    start = configuration.modelset.at("modelset", "calibration", START) if configuration.modelset else None
    return {START: f"days after {start['reference_date']}"} if start else {}


def _priors(configuration: Configuration) -> Iterator[tuple[str, Prior]]:
    """The priors of parameters, compartments and start date, as scipy distributions like the package's own."""
    document = configuration.modelset.document["modelset"] if configuration.modelset else {}
    calibration = document.get("calibration") or {}
    named = {**(calibration.get("parameters") or {}), **(calibration.get("compartments") or {})}
    if start := calibration.get(START):
        named[START] = start
    for name, section in named.items():
        yield name, _prior(section["prior"])


def _prior(section: Mapping[str, Any]) -> Prior:
    kind = getattr(stats, section["name"])
    distribution: Prior = kind(*section.get("args", ()), **(section.get("kwargs") or {}))
    return distribution if isinstance(kind, stats.rv_continuous) else _Counts(distribution)
