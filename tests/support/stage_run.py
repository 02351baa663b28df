"""A run on a folder, driven stage by stage through the same ``main`` that a task of Batch calls."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from epydrop.experiment import read_experiment
from epydrop.experiment.bundle.archive import open_bundle
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import RESOLVED_EXPERIMENT, Stage, error_name, orders_name
from epydrop.formats.orders import Orders, Resources
from epydrop.formats.serialization import from_json, to_json
from epydrop.formats.stage_records import ErrorRecord, Manifest
from epydrop.stores import open_store
from epydrop.stores.port import ObjectStore
from epydrop_stages.artifacts.signatures import SigningKeys
from epydrop_stages.artifacts.signed_records import SignedRecords
from epydrop_stages.stages.task import main

RUN_ID = "20261122-231500-0123abcd"
INPUTS, RESULTS, OUTPUTS = "builder-artifacts/", "runner-artifacts/", "outputs/20261122-231500/"
KEYS = {"old": "an old key that still verifies", "new": "the key that signs by now"}

SIR = """
exp_id: sir
seed: 7
model:
  model: {type: SIR}
  population: {size: 500}
  parameters: {transmission_rate: 0.6, recovery_rate: 0.2}
  simulation: {start_date: "2026-01-01", end_date: "2026-01-20", n_simulations: 3}
  initial_conditions: {Susceptible: 495, Infected: 5}
tasks:
  grid: {parameters.recovery_rate: [0.2, 0.3]}
  chains: 2
outputs: {quantiles: [0.05, 0.5, 0.95]}
"""

CALIBRATED = """
exp_id: calibrated
seed: 7
model:
  model: {type: SIR}
  population: {size: 500}
  simulation: {start_date: "2026-01-01", end_date: "2026-01-10"}
  initial_conditions: {Susceptible: 490, Infected: 10}
  calibration:
    observed_data: [12, 15, 20, 26, 33, 41, 50, 60, 70, 80]
    num_particles: 6
    num_generations: 2
    priors:
      transmission_rate: {distribution: uniform, low: 0.2, high: 1.0}
      recovery_rate: {distribution: uniform, low: 0.1, high: 0.5}
  projection: {n_simulations: 4, simulation: {end_date: "2026-01-15"}}
tasks: {chains: 2}
"""


@dataclass
class StageRun:
    """One run; every method that runs a stage returns its exit code."""

    folder: Path
    attempts: dict[Stage, int] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, text: str, dropped: bytes | None = None, name: str = "flu.yaml") -> StageRun:
        """A run whose experiment was accepted; ``dropped`` is the bundle, if it came in one."""
        run = cls(folder)
        run.store.write(f"dropped/{name}", dropped or text.encode())
        run.store.write(RESOLVED_EXPERIMENT, read_experiment(text.encode(), name, "flu").to_yaml())
        return run

    @property
    def store(self) -> ObjectStore:
        return open_store(self.folder.absolute().as_uri() + "/")

    @property
    def records(self) -> SignedRecords:
        return records_in(self.store)

    def order(self, stage: Stage, indices: IndexSet, **changes: Any) -> int:
        """Writes the orders of the next attempt and returns its number."""
        attempt = self.attempts[stage] = self.attempts.get(stage, 0) + 1
        orders = Orders(
            run_id=RUN_ID,
            exp_id="flu",
            stage=stage,
            attempt=attempt,
            indices=indices,
            resources=Resources(2000, 4096, 3600, 8192),
            parallelism=2,
            inputs=INPUTS,
            results=RESULTS,
            **{"outputs": OUTPUTS, **changes},
        )
        self.store.write(orders_name(stage, attempt), to_json(orders))
        return attempt

    def environment(self, stage: Stage, position: int = 0) -> dict[str, str]:
        return {
            "EPYDROP_RUN_URL": self.store.url,
            "EPYDROP_ATTEMPT": str(self.attempts.get(stage, 1)),
            "EPYDROP_ORDERS_SHA256": self._orders_sha256(stage),
            "BATCH_TASK_INDEX": str(position),
            "EPYDROP_SIGNING_KEY": json.dumps(KEYS),
        }

    def _orders_sha256(self, stage: Stage) -> str:
        name = orders_name(stage, self.attempts.get(stage, 1))
        return hashlib.sha256(self.store.read(name)).hexdigest() if self.store.stat(name) else "none"

    def start(self, stage: Stage, position: int = 0) -> int:
        return main([str(stage)], self.environment(stage, position))

    def build(self) -> int:
        self.order(Stage.BUILDER, IndexSet.below(1))
        return self.start(Stage.BUILDER)

    def tasks(self) -> int:
        return from_json(Manifest, self.store.read(f"{INPUTS}manifest.json"), "manifest").tasks

    def compute(self, indices: Any = None, **changes: Any) -> list[int]:
        """Runs these tasks in this order, by default all."""
        order = list(range(self.tasks()) if indices is None else indices)
        every = IndexSet.of(order)
        self.order(Stage.RUNNER, every, **changes)
        positions = {index: position for position, index in enumerate(every)}
        return [self.start(Stage.RUNNER, positions[index]) for index in order]

    def publish(self, **changes: Any) -> int:
        self.order(Stage.OUTPUT, IndexSet.below(1), **changes)
        return self.start(Stage.OUTPUT)

    def whole(self) -> StageRun:
        """Runs all three stages, which must succeed."""
        assert self.build() == 0
        assert set(self.compute()) == {0}
        assert self.publish() == 0
        return self

    def error(self, stage: Stage, index: int = 0, retry: int = 0) -> ErrorRecord:
        name = error_name(stage, self.attempts.get(stage, 1), index, retry)
        return from_json(ErrorRecord, self.store.read(name), name)

    def names(self, prefix: str) -> list[str]:
        return [info.name for info in self.store.list(prefix)]

    def table_digests(self) -> dict[str, str]:
        """sha256 of every table."""
        tables = [name for name in self.names(OUTPUTS) if name.endswith((".csv.gz", ".parquet"))]
        return {name: hashlib.sha256(self.store.read(name)).hexdigest() for name in tables}


def signing_keys(*names: str) -> SigningKeys:
    return SigningKeys({name: KEYS[name].encode() for name in names or KEYS})


def records_in(store: ObjectStore) -> SignedRecords:
    """The signed records of a run in this store."""
    return SignedRecords(store, RUN_ID, signing_keys())


def experiment_in(bundle: bytes) -> str:
    return open_bundle(io.BytesIO(bundle), len(bundle), "bundle.zip").experiment.decode()
