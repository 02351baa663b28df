"""The orders of an attempt: what one Batch job does, in one small object that every submit and the stage itself obey.

Written create-only before the job is created. A stage gets only the URL of its run and the number of its attempt; it
reads the rest here and in the resolved experiment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage


@dataclass(frozen=True)
class Resources:
    """The resources of one task: thousandths of a vCPU, MiB, and seconds per try."""

    cpu_milli: int
    memory_mib: int
    max_run_duration: int
    max_memory_mib: int
    machine_type: str = ""
    tasks_per_vm: int = 1
    spot: bool = False
    image: str = ""


@dataclass(frozen=True)
class Orders:
    """What one attempt of one stage does.

    ``indices`` are the run's task indices, in the order of the job's own; builder and output have only 0.
    ``inputs`` and ``results`` are the folders that the builder and the runner write to.
    ``output_config`` takes the place of the experiment's own outputs, where a person asked for another set.
    ``missing`` are the results that the output stage does without, and ``causes`` why; any other gap makes it refuse.
    """

    FORMAT: ClassVar[int] = 1
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    run_id: str
    exp_id: str
    stage: Stage
    attempt: int
    indices: IndexSet
    resources: Resources
    parallelism: int
    inputs: str
    results: str
    outputs: str = ""
    output_config: dict[str, object] = field(default_factory=dict)
    missing: IndexSet = field(default_factory=IndexSet)
    causes: dict[str, IndexSet] = field(default_factory=dict)
    overwrite: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    kick_id: str = ""  # the kick that requested this attempt; empty for an automatic one
    format: int = 1
