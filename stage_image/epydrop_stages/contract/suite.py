"""The interface between the stages and a suite: a module with a few functions, chosen by the experiment's ``suite``.

The stages know suites only through this file and ``suites.registry``; only a suite's own folder imports the modelling
package behind it.
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
    """The identity of a task. Its seed depends on this key and the experiment's seed, on nothing else."""

    location: str
    parameters: Mapping[str, Any]  # dotted path in the model -> value
    chain: int

    def digest(self) -> str:
        """32 hex digits: the first 128 bits of SHA-256 over the key as canonical JSON (sorted keys, no spaces)."""
        document = {"location": self.location, "parameters": dict(self.parameters), "chain": self.chain}
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def seed(self, experiment_seed: int) -> int:
        """The task's seed, 0 <= seed < 2**32, the range that epydemix accepts.

        ``SeedSequence`` with the key's digest as spawn key: streams of different keys are independent (NumPy, "Parallel
        random number generation"), and adding a location, point or chain changes the seed of no other task.
        """
        digest = self.digest()
        words = tuple(int(digest[start : start + 8], 16) for start in range(0, 32, 8))
        return int(np.random.SeedSequence(experiment_seed, spawn_key=words).generate_state(1)[0])


@dataclass(frozen=True)
class Task:
    """One unit of work. ``work`` holds everything that the suite's ``run`` needs; only the suite looks inside."""

    key: TaskKey
    seed: int
    work: Any


@dataclass(frozen=True)
class TaskLine:
    """A task without its work: one line of tasks.jsonl."""

    index: int
    key: TaskKey
    seed: int

    def to_json(self) -> bytes:
        """One line of JSON, with its line end."""
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
        """Parse a line written by ``to_json``."""
        document = json.loads(line)
        key = TaskKey(document["location"], document["parameters"], document["chain"])
        return cls(document["index"], key, document["seed"])


@dataclass(frozen=True)
class Finished:
    """A task and what the suite's ``run`` returned for it."""

    task: TaskLine
    result: Any


@dataclass(frozen=True)
class Output:
    """A file to publish under ``name``; ``path`` is in the workspace."""

    name: str
    path: Path


@dataclass(frozen=True)
class Gap:
    """Tasks without a result that failed alike: same cause and fingerprint. ``words``: the error of one of them."""

    cause: str
    words: str
    tasks: IndexSet
    fingerprint: str = ""
    record: str = ""  # object name of one of their error records


@dataclass(frozen=True)
class RunFacts:
    """What the output stage knows about the run.

    ``tasks``: number of tasks. ``locations``: planned location -> its number of tasks. ``missing``: tasks without a
    result, each with the reason; ``gaps``: the same, grouped. ``totals``: seconds, MiB and record counts over all
    tries. ``columns``: from the suite. ``drawn``: tasks of the points that get figures; ``draws_small``: whether these
    are small ones. ``reproduce``: shell commands that give the same numbers.
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
    """The modelling code behind an experiment: a module with this attribute and these functions.

    Every iterator is lazy: one task, one digest, one output at a time, so memory does not grow with the number of
    tasks. Importing the module must work without the modelling package installed if that package is optional.
    """

    NEEDS_FILES: bool
    """Whether every function is called in a folder with the files of the repository and the bundle, at every stage."""

    def build(self, experiment: Experiment, workspace: Path) -> Iterator[Task]:
        """The tasks by location; ``workspace`` holds the experiment's files. Raises BadInput with all problems."""

    def run(self, task: Task) -> Any:
        """The result of one task, the same for the same task. Raises BadInput if the input cannot be computed."""

    def columns(self, experiment: Experiment) -> Columns:
        """The columns of the tables, before any result is read; later passed as ``facts.columns``."""

    def digest(self, results: Sequence[Finished], experiment: Experiment, facts: RunFacts, workspace: Path) -> Any:
        """What ``report`` needs from the results of one point (same location and parameters, every chain).

        Called in a worker process, several points at a time. The return value must pickle and be small: rows and
        figures go into files in ``workspace``, the folder that ``report`` gets.
        """

    def report(
        self, digests: Iterable[Any], experiment: Experiment, facts: RunFacts, workspace: Path
    ) -> Iterator[Output]:
        """Write tables, figures and report into ``workspace``; ``digests`` come in the order of the tasks."""

    def warnings(self, experiment: Experiment) -> list[str]:
        """Settings that are allowed but probably unintended, one sentence each; for log, report and metadata."""

    def versions(self) -> dict[str, str]:
        """Packages that determine the numbers: package -> version."""


def seed_of(experiment: Experiment) -> int:
    """The seed of a resolved experiment. Raises ConfigurationError if there is none: a stage never invents one."""
    if experiment.seed is None:
        raise ConfigurationError("the resolved experiment has no seed; it must be written when the run is started")
    return experiment.seed
