"""What a stage process is told, and what every stage needs: environment, orders, store and keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from epydrop.errors import ConfigurationError, NotFound
from epydrop.experiment import Experiment, read_experiment, with_output_config
from epydrop.formats.names import RESOLVED_EXPERIMENT, Stage, orders_name
from epydrop.formats.orders import Orders
from epydrop.formats.serialization import from_json
from epydrop_stages.artifacts.metered_store import CountedStore
from epydrop_stages.artifacts.signatures import SigningKeys
from epydrop_stages.artifacts.signed_files import Meta

_REQUIRED = ("EPYDROP_RUN_URL", "EPYDROP_ATTEMPT", "BATCH_TASK_INDEX", "EPYDROP_SIGNING_KEY")


@dataclass(frozen=True)
class Told:
    """The environment of a stage process. ``position`` counts tasks in the job, ``retry`` Batch's own retries.

    ``cores`` are how many processors it may use; 0, when nobody says, stands for all that it is allowed to run on.
    ``github_pat`` is what a builder may have been given to read the forecast repository.
    """

    stage: Stage
    run_url: str
    attempt: int
    position: int
    retry: int
    keys: SigningKeys
    cores: int = 0
    github_pat: str = field(default="", repr=False)

    @classmethod
    def read(cls, stage: Stage, environ: Mapping[str, str]) -> Told:
        """From the environment. Raises ConfigurationError with the names of all variables that are missing or wrong."""
        missing = [name for name in _REQUIRED if not environ.get(name)]
        if missing:
            raise ConfigurationError(f"the {stage} stage needs these environment variables: {', '.join(missing)}")
        return cls(
            stage=stage,
            run_url=environ["EPYDROP_RUN_URL"],
            attempt=_number(environ, "EPYDROP_ATTEMPT", least=1),
            position=_number(environ, "BATCH_TASK_INDEX"),
            retry=_number(environ, "BATCH_TASK_RETRY_ATTEMPT") if environ.get("BATCH_TASK_RETRY_ATTEMPT") else 0,
            keys=SigningKeys.parse(environ["EPYDROP_SIGNING_KEY"]),
            cores=_number(environ, "EPYDROP_CORES", least=1) if environ.get("EPYDROP_CORES") else 0,
            github_pat=environ.get("GITHUB_PAT", ""),
        )


def _number(environ: Mapping[str, str], name: str, least: int = 0) -> int:
    text = environ[name]
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise ConfigurationError(f"{name} must be a whole number from {least} up, got {text!r}")
    return int(text)


@dataclass(frozen=True)
class TaskContext:
    """One try of one task. ``index`` counts within the run."""

    told: Told
    orders: Orders
    store: CountedStore
    index: int

    @classmethod
    def open(cls, told: Told, store: CountedStore) -> TaskContext:
        """Reads the attempt's orders. Raises ConfigurationError if there are none, or none for this task."""
        name = orders_name(told.stage, told.attempt)
        try:
            orders = from_json(Orders, store.read(name), name)
        except NotFound as error:
            raise ConfigurationError(f"there are no orders {name} under {told.run_url}") from error
        if (orders.stage, orders.attempt) != (told.stage, told.attempt):
            raise ConfigurationError(f"{name} is for {orders.stage} attempt {orders.attempt}")
        try:
            return cls(told, orders, store, orders.indices.nth(told.position))
        except IndexError as error:
            raise ConfigurationError(
                f"BATCH_TASK_INDEX is {told.position}; {name} has {len(orders.indices)}"
            ) from error

    def experiment(self) -> Experiment:
        """The resolved experiment, with the outputs that the orders ask for. Raises BadInput."""
        text = self.store.read(RESOLVED_EXPERIMENT)
        experiment = read_experiment(text, RESOLVED_EXPERIMENT, self.orders.exp_id)
        return with_output_config(experiment, self.orders.output_config)

    def meta(self, stage: Stage, index: int) -> Meta:
        """What an artifact of this run says of itself: inputs come from the builder, results from the runner."""
        kind = {Stage.BUILDER: "input", Stage.RUNNER: "result"}[stage]
        return Meta(kind, self.orders.run_id, stage, index)
