"""What a task of the ``epydemix`` suite returns: arrays with plain names, nothing of epydemix's own classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Observations:
    """What was counted of ``variable`` at one location.

    ``dates`` and ``values`` have the shape (k,): people in the ``period`` ('day' or 'week') that ends with that date.
    ``fitted`` (k,) tells what the calibration saw; the rest was held back, and scores the forecast.
    """

    variable: str
    period: str
    dates: Days
    values: Floats
    fitted: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Trajectories:
    """Simulations of one kind ('simulation', 'calibration' or 'projection'); ``scenario`` tells projections apart.

    ``dates`` has shape (days,), each array of ``variables`` (simulations, days) in people, ``weights``
    (simulations,) with sum 1. ``earlier``: transition -> shape (simulations,), the people who made it before the first
    date, where simulations begin at dates of their own.
    """

    kind: str
    dates: Days
    variables: Mapping[str, Floats]
    weights: Floats
    scenario: str = ""
    earlier: Mapping[str, Floats] | None = None


@dataclass(frozen=True)
class Posterior:
    """The accepted particles. ``values``: parameter -> shape (particles,); ``weights`` have sum 1."""

    values: Mapping[str, Floats]
    weights: Floats
    distances: Floats


@dataclass(frozen=True)
class Result:
    """All that one task computed."""

    trajectories: tuple[Trajectories, ...]
    population: float
    contacts: float  # the spectral radius of the contact matrix, before interventions; 1 in a population without one
    posterior: Posterior | None = None
    observed: Observations | None = None
