"""What a suite is: a few functions in one module, found by the experiment's ``suite``.

The stages know only this file; one suite's module imports the modelling package it stands for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from epydrop.errors import ConfigurationError
from epydrop.experiment import Experiment
from epydrop.formats.index_set import IndexSet
from epydrop_stages.contract.description import Columns
from epydrop_stages.contract.tries import Tries


@dataclass(frozen=True)
class TaskKey:
    """What makes a task this task; its seed follows from it and from the experiment's alone."""

    location: str
    parameters: Mapping[str, Any]  # dotted path in the model -> value
    chain: int

    def digest(self) -> str:
        """32 hex digits: 128 bits of SHA-256 over the key written as canonical JSON."""
        document = {"location": self.location, "parameters": dict(self.parameters), "chain": self.chain}
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def seed(self, experiment_seed: int) -> int:
        """The task's seed, below 2**32: adding a location, a point or a chain changes no other task's."""
        digest = self.digest()
        words = tuple(int(digest[start : start + 8], 16) for start in range(0, 32, 8))
        return int(np.random.SeedSequence(experiment_seed, spawn_key=words).generate_state(1)[0])


@dataclass(frozen=True)
class Task:
    """One unit of work. ``work`` is the suite's own business: all that ``run`` needs, so that it needs no files."""

    key: TaskKey
    seed: int
    work: Any


@dataclass(frozen=True)
class TaskLine:
    """What one task is, without its work: a line of tasks.jsonl."""

    index: int
    key: TaskKey
    seed: int

    def to_json(self) -> bytes:
        """One line of JSON."""
        document = {
            "index": self.index,
            "location": self.key.location,
            "parameters": dict(self.key.parameters),
            "chain": self.key.chain,
            "seed": self.seed,
            "key": self.key.digest(),
        }
        return json.dumps(document, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_json(cls, line: str) -> TaskLine:
        """What ``to_json`` wrote."""
        document = json.loads(line)
        key = TaskKey(document["location"], document["parameters"], document["chain"])
        return cls(document["index"], key, document["seed"])


@dataclass(frozen=True)
class Finished:
    """A task and what ``run`` returned for it."""

    task: TaskLine
    result: Any


@dataclass(frozen=True)
class Output:
    """A file to publish; ``path`` lies in the workspace."""

    name: str
    path: Path


@dataclass(frozen=True)
class Gap:
    """Tasks without a result that failed alike. ``cause`` is one of the core's, ``words`` what one of them said."""

    cause: str
    words: str
    tasks: IndexSet
    fingerprint: str = ""
    record: str = ""  # the error record of one of them, below the run


@dataclass(frozen=True)
class RunFacts:
    """What the output stage knows of the run.

    ``locations``: each planned location with its number of tasks. ``missing``: the tasks without a result, each with
    the reason; ``gaps``: the same, grouped. ``columns``: what the suite says of the tables. ``drawn``: the tasks of
    the points that get pictures, small ones if there are many. ``reproduce``: the commands that give the same numbers.
    """

    run_id: str
    exp_id: str
    config_sha256: str
    tasks: int
    missing: Sequence[tuple[TaskLine, str]] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    totals: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    locations: Mapping[str, int] = field(default_factory=dict)
    gaps: Sequence[Gap] = ()
    columns: Columns = field(default_factory=Columns)
    drawn: IndexSet = field(default_factory=IndexSet)
    draws_small: bool = False
    tries: Tries = field(default_factory=Tries)
    reproduce: Sequence[str] = ()


class Suite(Protocol):
    """The modelling code behind an experiment. Every iterator is lazy: one task, one result, one output at a time."""

    def build(self, experiment: Experiment, workspace: Path) -> Iterator[Task]:
        """The tasks, ordered by location; ``workspace`` holds a bundle's files. Raises BadInput with every problem."""

    def run(self, task: Task) -> Any:
        """The result of one task: the same bytes for the same task. Raises BadInput if the task cannot be run."""

    def columns(self, experiment: Experiment) -> Columns:
        """The columns of the tables, before any result is read; ``facts.columns`` then has them."""

    def digest(self, results: Sequence[Finished], experiment: Experiment, facts: RunFacts, workspace: Path) -> Any:
        """All that ``report`` needs of the results of one point (same location and parameters, every chain).

        Called in a worker process, so that points are digested side by side. What it returns must pickle and be
        small: rows and pictures go into files in ``workspace``, which is the one that ``report`` sees.
        """

    def report(
        self, digests: Iterable[Any], experiment: Experiment, facts: RunFacts, workspace: Path
    ) -> Iterator[Output]:
        """Tables, plots and a report, written into ``workspace``; ``digests`` come in the order of the tasks."""

    def warnings(self, experiment: Experiment) -> list[str]:
        """What is allowed, but perhaps not meant; for the log, the report and the metadata."""

    def versions(self) -> dict[str, str]:
        """What the suite computes with: package -> version."""


def seed_of(experiment: Experiment) -> int:
    """The seed of a resolved experiment, which always has one. Raises ConfigurationError otherwise."""
    if experiment.seed is None:
        raise ConfigurationError("the resolved experiment has no seed; whoever starts a run writes one into it")
    return experiment.seed
