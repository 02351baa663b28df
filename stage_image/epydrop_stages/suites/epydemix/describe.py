"""Describes the model of a point from its configuration, for tables, quality checks and report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from epydemix.cli.config import build_priors

from epydrop.experiment import Experiment
from epydrop.experiment.hub_formats import HUB_FORMATS
from epydrop_stages.contract.description import Description
from epydrop_stages.outputs.pooled_point import PooledPoint
from epydrop_stages.suites.epydemix.tasks import Config, point_at
from epydrop_stages.suites.epydemix.variables import parameter_units, structure_of

_DERIVED_UNITS = {"infectious period": "days"}


def describe(pool: PooledPoint, experiment: Experiment) -> Description:
    """The model of the point whose pooled results are given."""
    config = point_at(experiment, pool.location, pool.parameters).config
    structure = structure_of(config)
    calibration = config.get("calibration")
    fixed = {name: value for name, value in config.get("parameters", {}).items() if isinstance(value, int | float)}
    posterior = pool.posterior()
    return Description(
        words=_words(config),
        document=json.dumps(config, indent=1, ensure_ascii=False),
        compartments=[f"{name}_total" for name in structure.compartments],
        infectious=[f"{name}_total" for name in structure.infectious],
        infections=[f"{name}_total" for name in structure.infections],
        priors=build_priors(calibration) if calibration else {},
        derived=derived(config, {**fixed, **(posterior.values if posterior else {})}, pool.first.contacts),
        units={**parameter_units(config), **_DERIVED_UNITS},
        names=_names(pool, experiment),
    )


def derived(config: Config, parameters: Mapping[str, Any], contacts: float) -> dict[str, Any]:
    """R0 (dimensionless) and the infectious period (days) for models in which both have a closed form; else {}.

    ``parameters``: name -> number or shape (particles,), in 1/day; the values returned have the same shape.

    In SIR, SEIR and SIS the force of infection on group i is transmission_rate * sum_j C_ij I_j / N_j. With the mean
    infectious period 1 / recovery_rate, the spectral radius of the next-generation matrix (van den Driessche and
    Watmough 2002, doi:10.1016/S0025-5564(02)00108-6) is transmission_rate / recovery_rate * radius(C); ``contacts`` is
    radius(C), which is 1 in a population without age groups. Vaccination makes people only partly susceptible, so the
    formula does not hold.
    """
    model = config["model"]
    if model.get("type") not in ("SIR", "SEIR", "SIS") or model.get("vaccination"):
        return {}
    if not {"transmission_rate", "recovery_rate"} <= parameters.keys():
        return {}
    rate, recovery = (np.asarray(parameters[name], dtype=float) for name in ("transmission_rate", "recovery_rate"))
    if np.any(recovery <= 0):
        return {}
    return {"R0": rate / recovery * contacts, "infectious period": 1.0 / recovery}


def _words(config: Config) -> str:
    """The model in half a sentence."""
    simulation = config["simulation"]
    kind = config["model"].get("type", "custom")
    step = simulation.get("dt", 1)
    steps = "daily steps" if step == 1 else f"steps of {step} days"
    return f"{kind} model, {simulation['start_date']} to {simulation['end_date']}, {steps}"


def _names(pool: PooledPoint, experiment: Experiment) -> dict[str, str]:
    """The variable that a hub receives is shown under the hub's name for it."""
    hub, observed = experiment.outputs.hub, pool.first.observed
    if hub is None or observed is None:
        return {}
    return {observed.variable: HUB_FORMATS[hub.format].quantity}
