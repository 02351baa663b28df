"""The experiment file: its keys and their defaults, and the door by which a file becomes an Experiment.

The suite's own part, ``model``, is checked only for what would clash with the rest; the builder checks its content.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import prod
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from epydrop import machine_types
from epydrop.errors import BadInput, Problem
from epydrop.experiment import agreement, value_checks
from epydrop.experiment.bundle.data_files import WhyMissing, name_fault, normal_name, references
from epydrop.experiment.sections import Config, Data, Hub, Repository, Section
from epydrop.experiment.text.problems import problems_of, refuse
from epydrop.experiment.text.source import Source, first_of, read_source
from epydrop.experiment.text.yaml_writer import write_yaml
from epydrop.formats.names import Stage
from epydrop.formats.orders import Resources

DEFAULT_QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)
RUNNER_FAMILY = "c4d-standard"
RUNNER_MEMORY_MIB = 7000
RUNNER_MAX_MEMORY_MIB = 30_000
GROWTH = 4  # how far memory may grow, where the file does not say
MAX_SEED = 2**63 - 1
DAY = 86_400

Seconds = Annotated[
    int, BeforeValidator(value_checks.seconds), Field(ge=1, le=14 * DAY)
]  # Batch ends a job after 14 days
CpuMilli = Annotated[int, Field(ge=1, le=1_000_000)]
MemoryMib = Annotated[int, Field(ge=1, le=16_000_000)]
MachineType = Annotated[str, AfterValidator(value_checks.machine_type)]


class Lhs(Section):
    """A Latin hypercube: ``n`` points in the box of the ranges."""

    n: int = Field(ge=1)
    ranges: Annotated[
        dict[str, Annotated[tuple[float, ...], AfterValidator(value_checks.low_high)]],
        AfterValidator(value_checks.some_paths),
    ]


class Tasks(Section):
    """One task for each combination of population, grid point, hypercube point and chain."""

    populations: Annotated[tuple[str, ...], AfterValidator(value_checks.some_names)] | None = None
    grid: Annotated[
        dict[str, Annotated[tuple[Any, ...], AfterValidator(value_checks.scalars)]], AfterValidator(value_checks.paths)
    ] = Field(default_factory=dict)
    lhs: Lhs | None = None
    chains: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        ranges = self.lhs.ranges if self.lhs else {}
        refuse(agreement.overlaps(self.grid, ranges, has_populations=self.populations is not None))
        refuse(agreement.too_many(self.factors))
        return self

    @property
    def factors(self) -> dict[str, int]:
        """What the number of tasks is the product of."""
        return {
            "populations": len(self.populations or [None]),
            "grid points": prod(map(len, self.grid.values())),
            "hypercube points": self.lhs.n if self.lhs else 1,
            "chains": self.chains,
        }


class Outputs(Section):
    """What the output stage publishes."""

    quantiles: Annotated[tuple[float, ...], AfterValidator(value_checks.quantiles)] = DEFAULT_QUANTILES
    trajectories: bool = True
    posteriors: bool = True
    formats: Annotated[tuple[str, ...], AfterValidator(value_checks.formats)] = value_checks.FORMATS
    hub: Hub | None = None


class StageSection(Section):
    """What the one task of the builder or of the output stage gets: thousandths of a vCPU, MiB, seconds."""

    cpu_milli: CpuMilli = 2000
    memory_mib: MemoryMib = 4096
    machine_type: MachineType | None = None
    max_memory_mib: MemoryMib = Field(default_factory=lambda known: GROWTH * known["memory_mib"])
    max_run_duration: Seconds = 3600

    @model_validator(mode="after")
    def _fits(self) -> Self:
        refuse(agreement.misfits(self.cpu_milli, self.memory_mib, self.max_memory_mib, self.machine_type))
        return self


class OutputSection(StageSection):
    """The output stage's own defaults."""

    memory_mib: MemoryMib = 8192
    max_run_duration: Seconds = 7200


def _runner_machine(known: Mapping[str, Any]) -> str | None:
    found = machine_types.smallest(RUNNER_FAMILY, known["cpu_milli"], known["memory_mib"], known["tasks_per_vm"])
    return found.name if found else None


def _runner_max_memory(known: Mapping[str, Any]) -> int:
    memory: int = known["memory_mib"]
    return RUNNER_MAX_MEMORY_MIB if memory == RUNNER_MEMORY_MIB else GROWTH * memory


class RunnerSection(Section):
    """What each task of the runner gets; without a machine type, the smallest of one family that holds them."""

    cpu_milli: CpuMilli = 2000
    memory_mib: MemoryMib = RUNNER_MEMORY_MIB
    tasks_per_vm: int = Field(default=1, ge=1, le=1000)
    machine_type: MachineType | None = Field(default_factory=_runner_machine)
    max_memory_mib: MemoryMib = Field(default_factory=_runner_max_memory)
    max_run_duration: Seconds = 36_000

    @model_validator(mode="after")
    def _fits(self) -> Self:
        tasks = self.tasks_per_vm
        refuse(agreement.misfits(self.cpu_milli, self.memory_mib, self.max_memory_mib, self.machine_type, tasks))
        return self


class Stages(Section):
    """The sizes of the three stages."""

    builder: StageSection = StageSection()
    runner: RunnerSection = RunnerSection()
    output: OutputSection = OutputSection()


class RunSection(Section):
    """How the run is carried out. ``max_wait`` in seconds."""

    max_parallelism: int = Field(default=100, ge=1, le=5000)
    min_success: float = Field(default=1.0, gt=0, le=1)
    required: Annotated[tuple[str, ...], AfterValidator(value_checks.distinct_names)] = ()
    max_attempts: int = Field(default=3, ge=1, le=10)
    max_wait: Seconds = 6 * 3600
    spot: bool = False
    image: Annotated[str, AfterValidator(value_checks.image)] | None = None
    labels: Annotated[dict[str, str], AfterValidator(value_checks.labels)] = Field(default_factory=dict)
    stages: Stages = Stages()

    def resources(self, stage: Stage) -> Resources:
        """What a task of this stage gets."""
        size: dict[str, Any] = getattr(self.stages, stage).model_dump()
        size["machine_type"] = size["machine_type"] or ""
        return Resources(**size, spot=self.spot, image=self.image or "")


class Experiment(Section):
    """A whole experiment, every default filled in; ``seed`` None means that it follows from the run id."""

    exp_id: Annotated[str, AfterValidator(value_checks.exp_id)]
    suite: Annotated[str, AfterValidator(value_checks.suite)] = value_checks.SUITES[0]
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    source: Repository | None = None
    config: Config | None = None
    model: Annotated[dict[str, Any], AfterValidator(value_checks.model)] | None = None
    data: Data | None = None
    scenarios: Annotated[dict[str, dict[str, Any]], AfterValidator(value_checks.scenarios)] = Field(
        default_factory=dict
    )
    tasks: Tasks = Tasks()
    outputs: Outputs = Outputs()
    run: RunSection = RunSection()

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        refuse(agreement.unknown_required(self.run.required, self.tasks.populations))
        refuse(agreement.contradictions(self.suite, self.model_dump(), self._changed))
        return self

    @property
    def _changed(self) -> set[str]:
        """The sections that say anything other than the default."""
        fields = type(self).model_fields.items()
        return {name for name, field in fields if getattr(self, name) != field.get_default(call_default_factory=True)}

    @property
    def expected_tasks(self) -> int | None:
        """How many tasks the file asks for; None where only the suite's own files tell."""
        return prod(self.tasks.factors.values()) if self.suite == "epydemix" else None

    def to_yaml(self) -> bytes:
        """The experiment with every default written out; ``read_experiment`` gives it back unchanged."""
        return write_yaml(self.model_dump(mode="json"))


def read_experiment(
    text: bytes,
    file: str,
    default_exp_id: str,
    settings: Sequence[str] = (),
    why_missing: WhyMissing | None = None,
) -> Experiment:
    """The experiment in a YAML text, after settings such as ``run.spot=true``.

    ``file`` names the text in problems. ``why_missing`` tells why a data file cannot be had, or nothing when it can;
    without it only the names are checked. Raises BadInput with all problems.
    """
    return experiment_of(read_source(text, file, settings), default_exp_id, why_missing)


def experiment_of(source: Source, default_exp_id: str, why_missing: WhyMissing | None = None) -> Experiment:
    """The experiment that a file holds, as ``check`` does it."""
    return check(source, {"exp_id": default_exp_id, **source.plain()}, why_missing)


def check(source: Source, document: dict[str, Any], why_missing: WhyMissing | None = None) -> Experiment:
    """The document as an experiment; ``source`` is the file that says where each part of it stands.

    Raises BadInput with all problems, those with a line in the order of lines.
    """
    problems = [*source.problems, *_file_problems(source, document, why_missing)]
    experiment = None
    try:
        # by way of JSON, where a list may become a tuple and nothing else is converted
        experiment = Experiment.model_validate_json(json.dumps(document))
    except ValidationError as error:
        problems.extend(problems_of(error, source, Experiment))
    if problems or experiment is None:
        problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
        raise BadInput(*first_of(problems))
    return experiment


def referenced_files(experiment: Experiment) -> dict[str, str]:
    """The data files that the experiment needs: dotted path in the file -> name as a bundle has it."""
    found = references(experiment.model_dump(mode="json"))
    return {".".join(map(str, path)): normal_name(name) for path, name in found}


def _file_problems(source: Source, document: dict[str, Any], why_missing: WhyMissing | None) -> list[Problem]:
    problems = []
    if document.get("source") is not None:  # the repository may hold what the bundle does not; the builder will see
        why_missing = None
    for path, name in references(document):
        fault = name_fault(name) or (why_missing(normal_name(name)) if why_missing else "")
        if fault:
            problems.append(source.place(path).problem(fault))
    return problems
