"""What a task of this suite carries to the runner, and what comes back: the package's own objects, and a few facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dill

from epydrop_stages.contract.results import Observations

SIMULATION, CALIBRATION = "simulation", "calibration"


@dataclass(frozen=True)
class Work:
    """One BuilderOutput, as dill wrote it: it may need the repository's modules, so it is opened only among them."""

    pickled: bytes
    observed: Observations | None = None

    @classmethod
    def of(cls, output: Any, observed: Observations | None = None) -> Work:
        """Takes in a BuilderOutput of the package."""
        return cls(dill.dumps(output), observed)

    def open(self) -> Any:
        """The BuilderOutput, a new one each time."""
        return dill.loads(self.pickled)  # noqa: S301 - it came in a signed artifact


@dataclass(frozen=True)
class Made:
    """What the package returned for one task. ``people`` and ``contacts`` are as in ``results.Result``."""

    kind: str
    output: Any  # SimulationOutput or CalibrationOutput
    people: float
    contacts: float
    observed: Observations | None = None
    failed_simulations: int = 0  # of a calibration: the package counts them as simulations in which nobody falls ill
    failed_projections: int = 0


def kind_of(output: Any) -> str:
    """What a BuilderOutput asks for."""
    return SIMULATION if output.simulation else CALIBRATION
