"""From the posterior into the future: one projection for each scenario, all from the same particles.

Run number k takes the same particle and the same stream of random numbers in every scenario, so scenarios differ by
what they change and by nothing else: until the first change they are the same to the last person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from epydemix.cli.config import DEFAULT_N_PROJECTIONS

from epydrop_stages.contract.results import Floats, Trajectories
from epydrop_stages.suites.epydemix.calibration import Particle
from epydrop_stages.suites.epydemix.model import Work, prepare
from epydrop_stages.suites.epydemix.stepping import Rng, Switched
from epydrop_stages.suites.epydemix.tasks import Config
from epydrop_stages.suites.epydemix.totals import collect, totals_of

NO_SCENARIO = ""

_STREAM = 1  # beside the task's seed, so that a projection does not repeat the calibration's numbers


def projected(config: Config, overlay: Mapping[str, Any]) -> Config:
    """The configuration of one scenario's projection.

    The sections under ``projection`` are laid over the model's: parameters by name, and lists replace lists, as in
    epydemix. A scenario then changes only what it says: its interventions and overrides come on top of those.
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
    """Each scenario's name and configuration; a projection without scenarios is one with an empty name."""
    for name, overlay in (scenarios or {NO_SCENARIO: {}}).items() if "projection" in config else ():
        yield name, projected(config, overlay)


@dataclass(frozen=True)
class Draws:
    """Particles drawn by their weights, each with a stream of random numbers: the k-th draw is always the same.

    With ``replayed`` steps a draw replays the accepted simulation that far, and only then goes its own way: what is
    projected is then the future of a past that fits the data. Without, it has nothing but the particle's parameters.
    """

    particles: Sequence[Particle]
    weights: Floats
    seed: int
    replayed: int = 0

    def of(self, number: int) -> tuple[Mapping[str, float], Rng]:
        """The parameters of one particle, and what its simulation draws from."""
        rng = np.random.default_rng([self.seed, _STREAM, number])
        particle = self.particles[rng.choice(len(self.particles), p=self.weights)]
        return particle.values, Switched(particle.rng(), rng, self.replayed) if self.replayed else rng


def project(work: Work, folder: Path, draws: Draws, target: str) -> Iterator[Trajectories]:
    """Simulations from the start to the projection's end, one set for each scenario."""
    count = int((work.config.get("projection") or {}).get("n_simulations", DEFAULT_N_PROJECTIONS))
    for scenario, config in scenario_configs(work.config, work.scenarios):
        run = prepare(replace(work, config=config), folder).simulator()
        runs = [totals_of(run(*draws.of(number)), target) for number in range(count)]
        yield collect("projection", runs, np.full(count, 1 / count), scenario)
