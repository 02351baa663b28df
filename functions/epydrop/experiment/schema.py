"""A whole experiment: its top-level keys, and what its sections must agree on.

``model`` belongs to the suite epydemix, whose own reader validates it in the builder; here it is only checked for what
an experiment sets elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from epydrop.errors import KeyPath
from epydrop.experiment import forecasts
from epydrop.experiment.sections import Config, Data, Outputs, Repository, RunSection, Section, Tasks
from epydrop.experiment.sections.section import derived, one_of
from epydrop.experiment.sections.tasks import SEED_HINT
from epydrop.experiment.text.problems import Finding, did_you_mean, refuse
from epydrop.experiment.text.wording import describe
from epydrop.experiment.text.yaml_writer import write_yaml
from epydrop.formats.names import is_exp_id

MAX_SEED = 2**63 - 1

PLANNED: frozenset[KeyPath] = frozenset(
    {("max_cost_usd",), ("deadline",), ("run", "max_cost_usd"), ("run", "deadline")}
)
"""Keys of a later version. They are refused like unknown keys: none may be accepted that nothing acts on."""

SECTIONS_OF = {
    "epydemix": ("model", "data", "scenarios", "tasks", "outputs"),
    "epymodelingsuite": ("config",),
}
"""Suite -> the sections that it reads, besides those that all suites share. A new suite is added here."""

_SCENARIO_KEYS: dict[str, tuple[type, str]] = {
    "parameters": (dict, "keys and values"),
    "interventions": (list, "a list"),
    "overrides": (list, "a list"),
}


def _exp_id(value: str) -> str:
    # An experiment's id is a folder of its runs, in the bucket and on disk.
    if not is_exp_id(value):
        message = f"expected letters, digits, '.', '-' and '_', in parts separated by '/', got {describe(value)}"
        refuse([Finding(message, "at most 200 characters; each part begins with a letter or a digit")])
    return value


def _model(value: dict[str, Any]) -> dict[str, Any]:
    refuse(_misplaced(value))
    return value


def _misplaced(model: dict[str, Any]) -> Iterator[Finding]:
    """Keys that epydemix's reader would accept, and that mean something else in an experiment."""
    if "base" in model:
        yield Finding("an experiment cannot extend another configuration", "copy its content here", ("base",))
    simulation = model.get("simulation")
    if isinstance(simulation, dict) and "seed" in simulation:
        yield Finding("the seed of a simulation cannot be set", SEED_HINT, ("simulation", "seed"))


def _scenarios(values: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    refuse(_scenario_findings(values))
    return values


def _scenario_findings(values: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    for name, overlay in values.items():
        if not name.strip():
            yield Finding("expected a name, got blank text", at=(name,))
        for key, section in overlay.items():
            if key not in _SCENARIO_KEYS:
                message = f"a scenario cannot change {describe(key)}, only {', '.join(_SCENARIO_KEYS)}"
                yield Finding(message, did_you_mean(key, _SCENARIO_KEYS), (name, key))
            elif not isinstance(section, _SCENARIO_KEYS[key][0]):
                yield Finding(f"expected {_SCENARIO_KEYS[key][1]}, got {describe(section)}", at=(name, key))


class Experiment(Section):
    """An experiment with every default filled in; ``seed`` None means that it is derived from the run id."""

    exp_id: Annotated[str, AfterValidator(_exp_id)] = Field(
        description="the experiment's id, part of the path of its runs",
        json_schema_extra=derived("the dropped file's path without its suffix"),
    )
    suite: Annotated[str, one_of(*SECTIONS_OF)] = Field(
        default="epydemix", description="the modelling code: epydemix or epymodelingsuite"
    )
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = Field(
        default=None, description="the seed of all random numbers", json_schema_extra=derived("from the run id")
    )
    source: Repository | None = Field(default=None, description="a git repository that the builder takes files from")
    config: Config | None = Field(default=None, description="the configuration of the suite epymodelingsuite")
    model: Annotated[dict[str, Any], AfterValidator(_model)] | None = Field(
        default=None, description="an epydemix configuration, as epydemix itself reads it"
    )
    data: Data | None = Field(default=None, description="the observations to calibrate to")
    scenarios: Annotated[dict[str, dict[str, Any]], AfterValidator(_scenarios)] = Field(
        default_factory=dict, description="name to the parameters, interventions and overrides of a projection"
    )
    tasks: Tasks = Field(default=Tasks(), description="what is computed: one task for each combination")
    outputs: Outputs = Field(default=Outputs(), description="what is published")
    run: RunSection = Field(default=RunSection(), description="how the run is carried out")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        refuse([*self._unknown_required(), *self._conflicts()])
        return self

    def _unknown_required(self) -> Iterator[Finding]:
        populations = self.tasks.populations
        for index, name in enumerate(self.run.required):
            if populations is not None and name not in populations:
                message = f"{describe(name)} is not in 'tasks.populations'"
                yield Finding(message, did_you_mean(name, populations), ("run", "required", index))

    def _conflicts(self) -> Iterator[Finding]:
        own, changed = SECTIONS_OF[self.suite], self._changed
        for suite, sections in SECTIONS_OF.items():
            for name in sections:
                if name not in own and name in changed:
                    message = f"this section is for the suite '{suite}', and the experiment's suite is '{self.suite}'"
                    yield Finding(message, at=(name,))
        if "model" in own:
            if self.model is None:
                yield Finding("this section is missing", f"the suite '{self.suite}' needs it", ("model",))
            else:
                yield from forecasts.conflicts(self.model_dump(), self.model)

    @property
    def _changed(self) -> set[str]:
        """The sections that differ from their defaults: in a resolved experiment all sections are written out."""
        fields = type(self).model_fields.items()
        return {name for name, field in fields if getattr(self, name) != field.get_default(call_default_factory=True)}

    @property
    def expected_tasks(self) -> int | None:
        """How many tasks the file asks for; None for a suite whose own files determine that."""
        return prod(self.tasks.factors.values()) if "tasks" in SECTIONS_OF[self.suite] else None

    def to_yaml(self) -> bytes:
        """The experiment with every default written out; ``read_experiment`` returns it unchanged."""
        return write_yaml(self.model_dump(mode="json"))
