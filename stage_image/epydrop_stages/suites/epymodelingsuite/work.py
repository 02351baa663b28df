"""The input and the result of a task of this suite: the package's own objects with a few facts added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dill

from epydrop_stages.contract.results import Observations

SIMULATION, CALIBRATION = "simulation", "calibration"


@dataclass(frozen=True)
class Work:
    """One pickled BuilderOutput. It may refer to the repository's modules, so it is unpickled in the workspace."""

    pickled: bytes
    observed: Observations | None = None

    @classmethod
    def of(cls, output: Any, observed: Observations | None = None) -> Work:
        """Pickle a BuilderOutput."""
        return cls(dill.dumps(output), observed)

    def open(self) -> Any:
        """Unpickle the BuilderOutput; a new object each time."""
        return dill.loads(self.pickled)  # noqa: S301 - from a signed artifact


@dataclass(frozen=True)
class PackageResult:
    """What the package returned for one task. ``people`` and ``contacts``: as population and contacts of ``Result``."""

    kind: str
    output: Any  # SimulationOutput or CalibrationOutput
    people: float
    contacts: float
    observed: Observations | None = None
    failed_simulations: int = 0  # of a calibration: the package treats them as epidemics without cases
    failed_projections: int = 0


def kind_of(output: Any) -> str:
    """Whether a BuilderOutput is a simulation or a calibration."""
    return SIMULATION if output.simulation else CALIBRATION
