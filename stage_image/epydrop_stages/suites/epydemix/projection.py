"""Projects the posterior into the future: one projection per scenario, all from the same particles.

Simulation k uses the same particle and the same random numbers in every scenario (common random numbers), so scenarios
differ only by what they change: before the first change they are identical to the person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from epydemix.cli.config import DEFAULT_N_PROJECTIONS

from epydrop_stages.contract.heartbeat import heartbeat
from epydrop_stages.contract.results import Floats, Trajectories
from epydrop_stages.suites.epydemix.calibration import Particle
from epydrop_stages.suites.epydemix.model import Work, prepare
from epydrop_stages.suites.epydemix.stepping import Rng, Switched
from epydrop_stages.suites.epydemix.tasks import Config
from epydrop_stages.suites.epydemix.totals import collect, totals_of

NO_SCENARIO = ""

_STREAM = 1  # added to the task's seed, so that the projection does not reuse the calibration's random numbers


def projected(config: Config, overlay: Mapping[str, Any]) -> Config:
    """The configuration of one scenario's projection.

    As in epydemix, sections under ``projection`` override the model's: parameters by name, lists as a whole. The
    scenario's parameters override those, and its interventions and overrides are added to the lists.
    """
    projection: Config = dict(config["projection"] or {})
    found = {**config}
    for section in ("simulation", "parameters"):
        found[section] = {**config.get(section, {}), **projection.get(section, {}), **overlay.get(section, {})}
    for section in ("interventions", "overrides"):
        usual = projection[section] if section in projection else config.get(section)
        found[section] = [*(usual or []), *overlay.get(section, [])]
    return found


def scenario_configs(config: Config, scenarios: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Config]]:
    """Name and configuration of each scenario; a projection without scenarios is one with an empty name."""
    for name, overlay in (scenarios or {NO_SCENARIO: {}}).items() if "projection" in config else ():
        yield name, projected(config, overlay)


@dataclass(frozen=True)
class Draws:
    """Weighted draws of particles, each with its own random generator; draw k depends on ``seed`` and k only.

    With ``replayed`` steps, a draw first replays the accepted simulation for that many time steps and continues with
    new random numbers: the projection continues a past that fits the data. With 0, only the particle's parameters are
    used and the past is simulated anew.
    """

    particles: Sequence[Particle]
    weights: Floats
    seed: int
    replayed: int = 0

    def of(self, number: int) -> tuple[Mapping[str, float], Rng]:
        """Parameters of the drawn particle, and the random numbers of its simulation."""
        rng = np.random.default_rng([self.seed, _STREAM, number])
        particle = self.particles[rng.choice(len(self.particles), p=self.weights)]
        return particle.values, Switched(particle.rng(), rng, self.replayed) if self.replayed else rng


def project(work: Work, folder: Path, draws: Draws, target: str) -> Iterator[Trajectories]:
    """Simulations from the start date to the projection's end, one set for each scenario."""
    count = int((work.config.get("projection") or {}).get("n_simulations", DEFAULT_N_PROJECTIONS))
    for scenario, config in scenario_configs(work.config, work.scenarios):
        heartbeat(f"projecting {scenario}".rstrip())
        run = prepare(replace(work, config=config), folder).simulator()
        runs = [totals_of(run(*draws.of(number)), target) for number in range(count)]
        yield collect("projection", runs, np.full(count, 1 / count), scenario)
