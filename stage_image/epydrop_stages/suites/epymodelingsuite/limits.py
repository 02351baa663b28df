"""The known limits of the package's first version (0.1.0), found in the configuration.

Beyond them it raises errors that do not name the cause, such as UnboundLocalError, so a failure is explained by the
limits that the configuration exceeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from epydrop_stages.suites.epymodelingsuite import package
from epydrop_stages.suites.epymodelingsuite.configuration import Configuration

_START = "start_date"


def known_limits(configuration: Configuration) -> list[str]:
    """What to change so that version 0.1.0 can run this configuration; [] for newer versions."""
    if not package.is_first():
        return []
    model = configuration.basemodel.document["model"]
    modelset = configuration.modelset
    found = list(_of_model(model))
    if modelset is not None:
        section = modelset.document["modelset"][modelset.kind]
        found += _of_calibration(model, section) if modelset.kind == "calibration" else _of_sampling(model, section)
    return found


def _of_model(model: Mapping[str, Any]) -> Iterator[str]:
    if not model.get("interventions"):
        yield "it needs at least one intervention; one of scaling_factor 1.0 changes nothing"
    simulation = model.get("simulation") or {}
    missing = [key for key in ("n_sims", "resample_frequency") if key not in simulation]
    if missing:
        yield f"add model.simulation with {' and '.join(missing)}, such as n_sims: 100, resample_frequency: W-SAT"


def _of_calibration(model: Mapping[str, Any], section: Mapping[str, Any]) -> Iterator[str]:
    if not model.get("vaccination") or _START not in section:
        yield "it calibrates only models with vaccination and a calibrated start_date"
    if section.get("parameters") is None or section.get("compartments") is None:
        yield "give calibration both 'parameters' and 'compartments', empty or not"


def _of_sampling(model: Mapping[str, Any], section: Mapping[str, Any]) -> Iterator[str]:
    if _START not in section:
        yield "it samples only if start_date is sampled too"
    elif model.get("vaccination"):
        yield "it samples start_date only in models without vaccination"
