"""A dry run: the builder stage on an experiment, in a temporary folder. It finds every problem and plans the tasks."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from epydrop.core.phases import Phase
from epydrop.core.run import Run
from epydrop.errors import BadInput, EpydropError, Problem
from epydrop.experiment import Experiment, read_experiment
from epydrop.formats import names
from epydrop.formats.names import Stage
from epydrop.formats.serialization import from_json
from epydrop.formats.stage_records import Manifest
from epydrop.stores import open_store
from epydrop_workstation.local.wiring import local_machine


@dataclass(frozen=True)
class DryRunPlan:
    """What a run of the experiment would do."""

    experiment: Experiment
    manifest: Manifest

    @property
    def document(self) -> dict[str, Any]:
        """The plan as ``--json`` prints it."""
        return {
            "exp_id": self.experiment.exp_id,
            "tasks": self.manifest.tasks,
            "locations": {name: stop - start for name, (start, stop) in self.manifest.locations.items()},
            "max_parallelism": self.experiment.run.max_parallelism,
            "min_success": self.experiment.run.min_success,
            "stages": {stage: vars(self.experiment.run.resources(stage)) for stage in Stage},
        }


def build_plan(name: str, data: bytes) -> DryRunPlan:
    """Builds the tasks of a packed experiment without keeping them. Raises BadInput with every problem found."""
    with tempfile.TemporaryDirectory(prefix="epydrop-dry-run-") as folder, local_machine(Path(folder)) as machine:
        run_id = machine.drop(name, data)

        def is_built() -> bool:
            stored = machine.runs.load(run_id)
            return stored is not None and stored.run.phase is not Phase.BUILDER

        machine.work_on(run_id, is_built)
        stored = machine.runs.load(run_id)
        if stored is None:
            raise AssertionError(f"run {run_id} vanished")
        return _verdict(stored.run)


def _verdict(run: Run) -> DryRunPlan:
    if run.phase is Phase.REJECTED:
        raise BadInput(*(Problem(text) for text in run.problems))
    if run.phase is not Phase.RUNNER:
        raise EpydropError(f"the experiment could not be checked: {run.reason}")
    store = open_store(run.run_url)
    resolved = read_experiment(store.read(names.RESOLVED_EXPERIMENT), names.RESOLVED_EXPERIMENT, run.exp_id)
    name = names.manifest_name(run.inputs)
    return DryRunPlan(resolved, from_json(Manifest, store.read(name), name))


def print_plan(plan: DryRunPlan) -> None:
    """Prints the plan for people."""
    run = plan.experiment.run
    print(f"{plan.experiment.exp_id}: valid, {plan.manifest.tasks} tasks")
    for name, (start, stop) in plan.manifest.locations.items():
        print(f"  {name}: tasks {start} to {stop - 1}")
    for stage in Stage:
        size = run.resources(stage)
        machine = f", {size.machine_type}" if size.machine_type else ""
        limit = f"at most {size.max_run_duration} s a task"
        print(f"  {stage}: {size.cpu_milli / 1000:g} vCPU, {size.memory_mib} MiB{machine}, {limit}")
    print("Nothing was computed (--dry-run).")
