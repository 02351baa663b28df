"""The section ``run``: how a run is carried out, and the sizes of its stages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from epydrop import machine_types
from epydrop.errors import BadInput
from epydrop.experiment.sections.section import Names, Section, derived
from epydrop.experiment.text.problems import Finding, refuse
from epydrop.experiment.text.wording import describe
from epydrop.formats.names import Stage, is_image_digest
from epydrop.formats.orders import Resources

RUNNER_FAMILY = "c4d-standard"

_RUNNER_MEMORY_MIB = 7000
_RUNNER_MAX_MEMORY_MIB = 30_000
_GROWTH = 4  # max_memory_mib over memory_mib, if the file does not set it: two retries, each with twice the memory
_DAY = 86_400  # seconds
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": _DAY}
_DURATION = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_MAX_LABELS = 20
_RESERVED_LABELS = {
    "component", "managed-by", "stage", "exp_id", "run_id", "attempt", "orders", "environment",
}  # fmt: skip
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")  # stricter than Google: its keys may have other lower-case letters


# -- checks ------------------------------------------------------------------------------------


def _seconds(value: object) -> object:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match:
        return int(match[1]) * _UNITS[match[2]]
    if isinstance(value, bool) or not isinstance(value, int):
        refuse([Finding(f"expected a duration such as 6h, 90m, 30s or 2d, or whole seconds, got {describe(value)}")])
    return value


def _image(value: str) -> str:
    # A digest, because a tag may be moved to another image; then a run could not be reproduced.
    if not is_image_digest(value):
        refuse([Finding(f"expected 'sha256:' and 64 hexadecimal digits, got {describe(value)}")])
    return value


def _machine_type(value: str) -> str:
    try:
        machine_types.machine(value)
    except BadInput as error:
        refuse(Finding(problem.message, problem.hint) for problem in error.problems)
    return value


def _labels(values: dict[str, str]) -> dict[str, str]:
    refuse(_label_findings(values))
    return values


def _label_findings(values: dict[str, str]) -> Iterator[Finding]:
    """Keys only: ``names.label_value`` makes any value legal."""
    if len(values) > _MAX_LABELS:
        yield Finding(f"expected at most {_MAX_LABELS} labels, got {len(values)}")
    for key in values:
        if key in _RESERVED_LABELS:
            yield Finding("epydrop sets this label itself", "choose another key", (key,))
        elif not _LABEL_KEY.fullmatch(key) or key.startswith("goog"):
            hint = "a lower-case letter, then up to 62 of a-z, 0-9, '_' and '-'; not beginning with 'goog'"
            yield Finding("this is not a valid key for a label", hint, (key,))


def _size_findings(stage: StageSection | RunnerSection, tasks: int) -> Iterator[Finding]:
    """Sizes that contradict one another, or do not fit on the machine."""
    cpu, memory = stage.cpu_milli, stage.memory_mib
    if stage.max_memory_mib < memory:
        message = f"expected at least memory_mib ({memory}), got {stage.max_memory_mib}"
        yield Finding(message, at=("max_memory_mib",))
    machine = machine_types.machine(stage.machine_type) if stage.machine_type else None
    if machine and not machine.holds(cpu, memory, tasks):
        larger = machine_types.smallest(machine.family, cpu, memory, tasks)
        hint = f"'{larger.name}' is large enough" if larger else "choose another family, or fewer tasks_per_vm"
        needs = f"{tasks} x ({cpu} cpu_milli and {memory} memory_mib)"
        yield Finding(f"{needs} do not fit on {machine}", hint, ("machine_type",))


Seconds = Annotated[int, BeforeValidator(_seconds), Field(ge=1, le=14 * _DAY)]  # Batch ends a job after 14 days
# Far above any machine: the machine types are the real limit, where one is given.
CpuMilli = Annotated[int, Field(ge=1, le=1_000_000)]
MemoryMib = Annotated[int, Field(ge=1, le=16_000_000)]
MachineType = Annotated[str, AfterValidator(_machine_type)]

# -- sections ----------------------------------------------------------------------------------

_CPU = "CPU of a task, in thousandths of a vCPU"
_MEMORY = "memory of a task, in MiB"
_MACHINE = "the machine type of the VMs; null lets Batch choose"
_MAX_MEMORY = "the most that a retry after out of memory may get, in MiB"
_DURATION_LIMIT = "time limit of each try of a task"


class StageSection(Section):
    """``run.stages.builder``: the size of the one task of the stage."""

    cpu_milli: CpuMilli = Field(default=2000, description=_CPU)
    memory_mib: MemoryMib = Field(default=4096, description=_MEMORY)
    machine_type: MachineType | None = Field(default=None, description=_MACHINE)
    max_memory_mib: MemoryMib = Field(
        default_factory=lambda known: _GROWTH * known["memory_mib"],
        description=_MAX_MEMORY,
        json_schema_extra=derived(f"{_GROWTH} x memory_mib"),
    )
    max_run_duration: Seconds = Field(default=3600, description=_DURATION_LIMIT)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        refuse(_size_findings(self, tasks=1))
        return self


class OutputSection(StageSection):
    """``run.stages.output``: the output stage has other defaults."""

    memory_mib: MemoryMib = Field(default=8192, description=_MEMORY)
    max_run_duration: Seconds = Field(default=7200, description=_DURATION_LIMIT)


def _runner_machine(known: Mapping[str, Any]) -> str | None:
    found = machine_types.smallest(RUNNER_FAMILY, known["cpu_milli"], known["memory_mib"], known["tasks_per_vm"])
    return found.name if found else None


def _runner_max_memory(known: Mapping[str, Any]) -> int:
    memory: int = known["memory_mib"]
    return _RUNNER_MAX_MEMORY_MIB if memory == _RUNNER_MEMORY_MIB else _GROWTH * memory


class RunnerSection(Section):
    """``run.stages.runner``: the size of each task of the runner."""

    cpu_milli: CpuMilli = Field(default=2000, description=_CPU)
    memory_mib: MemoryMib = Field(default=_RUNNER_MEMORY_MIB, description=_MEMORY)
    tasks_per_vm: int = Field(default=1, ge=1, le=1000, description="tasks that share a VM")
    machine_type: MachineType | None = Field(
        default_factory=_runner_machine,
        description=_MACHINE,
        json_schema_extra=derived(f"the smallest {RUNNER_FAMILY} that fits"),
    )
    max_memory_mib: MemoryMib = Field(
        default_factory=_runner_max_memory,
        description=_MAX_MEMORY,
        json_schema_extra=derived(f"{_RUNNER_MAX_MEMORY_MIB}, or {_GROWTH} x memory_mib if that is set"),
    )
    max_run_duration: Seconds = Field(default=36_000, description=_DURATION_LIMIT)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        refuse(_size_findings(self, self.tasks_per_vm))
        return self


class Stages(Section):
    """``run.stages``: the sizes of the three stages."""

    builder: StageSection = Field(default=StageSection(), description="the builder's task")
    runner: RunnerSection = Field(default=RunnerSection(), description="the runner's tasks")
    output: OutputSection = Field(default=OutputSection(), description="the output stage's task")


class RunSection(Section):
    """``run``: how the run is carried out.

    A field that ``core.run.Plan`` has too reaches the core by its name, with nothing to change in between.
    """

    max_parallelism: int = Field(default=100, ge=1, le=5000, description="tasks that run at the same time")
    min_success: float = Field(
        default=1.0, gt=0, le=1, description="the share of tasks that must succeed for outputs to be published"
    )
    required: Names = Field(default=(), description="locations that must each reach min_success by themselves")
    max_attempts: int = Field(default=3, ge=1, le=10, description="attempts of a stage; lost Spot VMs do not count")
    max_wait: Seconds = Field(default=6 * 3600, description="the longest time without any machine, per attempt")
    max_silence: Seconds | None = Field(
        default=900,
        description="how long a task may give no sign of life and use no CPU before it is tried again; null: for ever",
    )
    spot: bool = Field(default=False, description="whether to use Spot VMs")
    image: Annotated[str, AfterValidator(_image)] | None = Field(
        default=None,
        description="the stages' image, as sha256:... in the deployment's repository",
        json_schema_extra=derived("the deployment's image"),
    )
    labels: Annotated[dict[str, str], AfterValidator(_labels)] = Field(
        default_factory=dict, description="labels of the jobs and their VMs"
    )
    stages: Stages = Field(default=Stages(), description="the sizes of the stages")

    def resources(self, stage: Stage) -> Resources:
        """The resources of each task of a stage. The fields of its section have the names of those of Resources."""
        size: dict[str, Any] = getattr(self.stages, stage).model_dump()
        size["machine_type"] = size["machine_type"] or ""
        return Resources(**size, spot=self.spot, image=self.image or "")
