"""The result of a task as numpy arrays: the common form in which every suite hands its numbers to ``outputs``.

Plain arrays and names only, no class of a modelling package: a stored result stays readable when the package changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Observations:
    """Observed counts of ``variable`` at one location.

    ``dates`` and ``values``: shape (k,); ``values`` are people in the ``period`` ('day' or 'week') that ends on that
    date. ``fitted``: shape (k,), True for the observations that the calibration used; the others are held back and
    score the forecast.
    """

    variable: str
    period: str
    dates: Days
    values: Floats
    fitted: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Trajectories:
    """Simulations of one kind: 'simulation', 'calibration' or 'projection'; ``scenario`` names a projection.

    ``dates``: shape (days,). ``variables``: each of shape (simulations, days), in people. ``weights``: shape
    (simulations,), sum 1. ``earlier``: transition -> shape (simulations,), the people who made it before the first
    date; given only where simulations start on dates of their own.
    """

    kind: str
    dates: Days
    variables: Mapping[str, Floats]
    weights: Floats
    scenario: str = ""
    earlier: Mapping[str, Floats] | None = None


@dataclass(frozen=True)
class Posterior:
    """The accepted particles. ``values``: parameter -> shape (particles,), as are ``weights`` and ``distances``.

    Weights sum to 1; distances are in the unit of the calibration's distance function.
    """

    values: Mapping[str, Floats]
    weights: Floats
    distances: Floats


@dataclass(frozen=True)
class Result:
    """Everything that one task computed. ``population`` in people.

    ``contacts``: spectral radius of the contact matrix before interventions; 1 in a population without age groups.
    """

    trajectories: tuple[Trajectories, ...]
    population: float
    contacts: float
    posterior: Posterior | None = None
    observed: Observations | None = None
