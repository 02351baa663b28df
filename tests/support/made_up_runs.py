"""Runs with synthetic results, on disk as builder and runner would have left them for the output stage."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import zstandard

from epydrop.experiment import read_experiment
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import (
    RESOLVED_EXPERIMENT,
    Stage,
    error_name,
    manifest_name,
    orders_name,
    result_name,
    tasks_name,
    telemetry_name,
)
from epydrop.formats.orders import Orders, Resources
from epydrop.formats.serialization import to_json
from epydrop.formats.stage_records import ErrorRecord, Manifest, Telemetry
from epydrop.stores import open_store
from epydrop.stores.port import ObjectStore
from epydrop_stages.artifacts.checksums import sha256_of
from epydrop_stages.artifacts.signatures import SigningKeys
from epydrop_stages.artifacts.signed_files import Meta, write_artifact
from epydrop_stages.artifacts.signed_records import SignedRecords
from epydrop_stages.contract.results import Result
from epydrop_stages.contract.suite import TaskKey, TaskLine
from epydrop_stages.stages.task import main

RUN_ID = "20261202-141500-52aca7ed"
INPUTS, RESULTS, OUTPUTS = "builder-artifacts/", "runner-artifacts/", "outputs/20261202-160000/"
KEYS = SigningKeys({"made-up": b"a key that signs what is made up"})

Compute = Callable[[TaskKey, np.random.Generator], Result]


@dataclass
class MadeUpRun:
    """A run whose output stage has not run yet. ``compute`` makes the result of a task."""

    folder: Path
    text: str
    keys: Sequence[TaskKey]
    compute: Compute
    missing: Mapping[int, tuple[str, str, str]] = field(default_factory=dict)  # index -> cause, type, message
    memory_mib: int = 8192

    @property
    def store(self) -> ObjectStore:
        return open_store(self.folder.absolute().as_uri() + "/")

    def write(self) -> MadeUpRun:
        """Writes everything that the output stage reads."""
        store = self.store
        experiment = read_experiment(self.text.encode(), "experiment.yaml", "made-up")
        store.write("dropped/experiment.yaml", self.text.encode())
        store.write(RESOLVED_EXPERIMENT, experiment.to_yaml())
        lines = [TaskLine(index, key, key.seed(7)) for index, key in enumerate(self.keys)]
        self._write_manifest(store, lines)
        for line in lines:
            if line.index in self.missing:
                self._fail(store, line.index)
                continue
            result = self.compute(line.key, np.random.default_rng(line.seed))
            meta = Meta("result", RUN_ID, Stage.RUNNER, line.index)
            write_artifact(store, result_name(RESULTS, line.index), result, meta, KEYS)
        self._write_telemetry(store)
        self.order(1)
        return self

    def order(self, attempt: int) -> None:
        """Writes the orders of an attempt of the output stage."""
        causes: dict[str, list[int]] = {}
        for index, (cause, _, _) in self.missing.items():
            causes.setdefault(cause, []).append(index)
        orders = Orders(
            run_id=RUN_ID,
            exp_id=read_experiment(self.text.encode(), "experiment.yaml", "made-up").exp_id,
            stage=Stage.OUTPUT,
            attempt=attempt,
            indices=IndexSet.below(1),
            resources=Resources(2000, self.memory_mib, 7200, 32768, image="sha256:" + "0" * 64),
            parallelism=1,
            inputs=INPUTS,
            results=RESULTS,
            outputs=OUTPUTS if attempt == 1 else OUTPUTS.replace("/20", f"/attempt-{attempt}-20"),
            missing=IndexSet.of(self.missing),
            causes={cause: IndexSet.of(indices) for cause, indices in causes.items()},
        )
        self.store.write(orders_name(Stage.OUTPUT, attempt), to_json(orders))

    def environment(self, cores: int = 0, attempt: int = 1) -> dict[str, str]:
        """The environment variables of the output stage; ``cores`` 0 means as many as there are."""
        return {
            "EPYDROP_RUN_URL": self.store.url,
            "EPYDROP_ATTEMPT": str(attempt),
            "EPYDROP_ORDERS_SHA256": sha256_of(self.store, orders_name(Stage.OUTPUT, attempt)),
            "BATCH_TASK_INDEX": "0",
            "EPYDROP_SIGNING_KEY": json.dumps({name: key.decode() for name, key in KEYS.by_id.items()}),
            **({"EPYDROP_CORES": str(cores)} if cores else {}),
        }

    def publish(self, cores: int = 1) -> int:
        """Runs the output stage in this process and returns its exit code."""
        return main(["output"], self.environment(cores))

    def publish_apart(self, cores: int) -> int:
        """Runs the output stage in a process of its own, as in production: it forks before it has any threads."""
        command = [sys.executable, "-m", "epydrop_stages", "output"]
        one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        return subprocess.run(
            command, check=False, env={**os.environ, **one_thread, **self.environment(cores)}
        ).returncode

    def output(self, name: str) -> bytes:
        return self.store.read(OUTPUTS + name)

    def _write_manifest(self, store: ObjectStore, lines: Sequence[TaskLine]) -> None:
        tasks = zstandard.ZstdCompressor().compress(b"".join(line.to_json() for line in lines))
        store.write(tasks_name(INPUTS), tasks)
        locations: dict[str, tuple[int, int]] = {}
        for line in lines:
            first, _ = locations.get(line.key.location, (line.index, 0))
            locations[line.key.location] = (first, line.index + 1)
        digests = {
            tasks_name(INPUTS): hashlib.sha256(tasks).hexdigest(),
            RESOLVED_EXPERIMENT: sha256_of(store, RESOLVED_EXPERIMENT),
        }
        versions = {"epydemix": "1.5.0", "numpy": np.__version__}
        manifest = Manifest(RUN_ID, len(lines), locations, digests, versions)
        SignedRecords(store, RUN_ID, KEYS).write(manifest_name(INPUTS), manifest)

    def _write_telemetry(self, store: ObjectStore, parallelism: int = 40) -> None:
        """Telemetry as if ``parallelism`` tasks had run at a time, about a hundred seconds each."""
        rng = np.random.default_rng(1)
        free = np.full(parallelism, 1_796_220_900.0) + 70 + rng.uniform(0, 30, parallelism)
        self._tell(store, Stage.BUILDER, 0, 1_796_220_900.0, 41.0)
        for index in range(len(self.keys)):
            slot = int(free.argmin())
            wall = float(rng.gamma(12, 9))
            if index not in self.missing:
                self._tell(store, Stage.RUNNER, index, float(free[slot]), wall)
            free[slot] += wall + rng.uniform(1, 4)

    def _tell(self, store: ObjectStore, stage: Stage, index: int, started: float, wall: float) -> None:
        rng = np.random.default_rng(index)
        cpu, peak = wall * rng.uniform(0.8, 0.99), rng.normal(640, 60)
        record = Telemetry(RUN_ID, stage, 1, index, 0, started, wall, cpu, peak, 10_000, 200_000, "made-up")
        store.write(telemetry_name(stage, 1, index, 0), to_json(record))

    def _fail(self, store: ObjectStore, index: int) -> None:
        cause, kind, message = self.missing[index]
        if not kind:
            return
        code = 137 if cause == "out_of_memory" else 1
        trace = hashlib.sha256(kind.encode()).hexdigest()[:12]
        record = ErrorRecord(
            RUN_ID, Stage.RUNNER, 1, index, 0, code, kind, message, f"Traceback ...\n{kind}: {message}\n", trace,
            started=1_796_221_000.0 + 7 * index % 400, wall_seconds=20.0,
        )  # fmt: skip
        store.write(error_name(Stage.RUNNER, 1, index, 0), to_json(record))
