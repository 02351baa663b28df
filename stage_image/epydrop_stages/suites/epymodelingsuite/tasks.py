"""Turns the package's BuilderOutputs into tasks: their keys and their order."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from epydrop.errors import BadInput, Problem
from epydrop_stages.contract.results import Observations
from epydrop_stages.contract.suite import Task, TaskKey
from epydrop_stages.suites.epymodelingsuite.config_validation import Configs
from epydrop_stages.suites.epymodelingsuite.work import Work, kind_of


def sampling_seed(experiment_seed: int) -> int:
    """The seed of the sampled points: the same for every location, so that locations can be added."""
    word = int.from_bytes(hashlib.sha256(b"epymodelingsuite samples").digest()[:4], "big")
    return int(np.random.SeedSequence(experiment_seed, spawn_key=(word,)).generate_state(1)[0])


def tasks_of(
    outputs: Sequence[Any], configs: Configs, seed: int, observed: Mapping[str, Observations]
) -> Iterator[Task]:
    """One task per BuilderOutput, ordered by location. ``observed``: population name -> observations.

    Raises BadInput if the outputs are of two kinds, whose results the package cannot publish together.
    """
    if len({kind_of(output) for output in outputs}) > 1:
        message = "config: the package made both simulations and calibrations, but a run has results of one kind"
        raise BadInput(Problem(message, path=("suite",)))
    points = _points(outputs, configs)
    places = {location_of(output): None for output in outputs}
    seen: Counter[str] = Counter()
    for place in places:
        for output, parameters in zip(outputs, points, strict=True):
            if location_of(output) == place:
                alike = TaskKey(place, parameters, 0).digest()
                key = TaskKey(place, parameters, seen[alike])  # equal samples are chains of one point
                seen[alike] += 1
                yield Task(key, key.seed(seed), Work.of(output, observed.get(place)))


def location_of(output: Any) -> str:
    """The population name of a BuilderOutput, as in the package's tables."""
    return str(output.model.population.name)


def _points(outputs: Sequence[Any], configs: Configs) -> list[dict[str, Any]]:
    """The parameters of each output: {} or the sampled values."""
    if configs.sampling is None:
        return [{} for _ in outputs]
    from epymodelingsuite.sample_generator import generate_samples  # noqa: PLC0415 - see package.py

    samples = generate_samples(configs.sampling, configs.basemodel.model.random_seed)
    if len(outputs) % len(samples):  # another version may combine samples and locations differently
        counts: Counter[str] = Counter()
        points = []
        for output in outputs:
            points.append({"sample": counts[location_of(output)]})
            counts[location_of(output)] += 1
        return points
    return [_point(sample) for sample in samples] * (len(outputs) // len(samples))


def _point(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A sample of the package as dotted path -> plain value."""
    point: dict[str, Any] = {
        f"{section}.{name}": float(value)
        for section in ("parameters", "compartments")
        for name, value in (sample.get(section) or {}).items()
    }
    if sample.get("start_date"):
        point["start_date"] = str(sample["start_date"])
    return point
