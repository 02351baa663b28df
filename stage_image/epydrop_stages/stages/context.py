"""The inputs of every stage process: environment variables, orders, store and signing keys."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from epydrop.errors import ConfigurationError, IntegrityError, NotFound
from epydrop.experiment import Experiment, read_experiment, with_output_config
from epydrop.formats.names import RESOLVED_EXPERIMENT, Stage, manifest_name, orders_name
from epydrop.formats.orders import Orders
from epydrop.formats.serialization import from_json
from epydrop.formats.stage_records import Manifest
from epydrop_stages.artifacts.metered_store import MeteredStore
from epydrop_stages.artifacts.signatures import SigningKeys
from epydrop_stages.artifacts.signed_files import Meta
from epydrop_stages.artifacts.signed_records import SignedRecords

SECRETS = ("EPYDROP_SIGNING_KEY", "GITHUB_PAT")
_REQUIRED = ("EPYDROP_RUN_URL", "EPYDROP_ATTEMPT", "EPYDROP_ORDERS_SHA256", "BATCH_TASK_INDEX", "EPYDROP_SIGNING_KEY")


@dataclass(frozen=True)
class TaskEnvironment:
    """The environment variables of a stage process.

    ``position``: index of the task in the job (its index in the run follows from the orders). ``retry``: number of
    Batch's own retries before this one. ``cores``: how many processors to use; 0 means all that
    the process may use. ``max_silence``: seconds after which a task without any sign of life is ended; 0 means never.
    ``github_pat``: token for the forecast repository; only builders get one. ``orders_sha256`` (hex),
    ``experiment_sha256`` (hex), ``dropped_md5`` (base64): digests of the files that nobody signs; the last two are for
    builders, and empty if unknown.
    """

    stage: Stage
    run_url: str
    attempt: int
    position: int
    retry: int
    orders_sha256: str
    keys: SigningKeys
    experiment_sha256: str = ""
    dropped_md5: str = ""
    cores: int = 0
    max_silence: int = 0
    github_pat: str = field(default="", repr=False)

    @classmethod
    def read(cls, stage: Stage, environ: Mapping[str, str]) -> TaskEnvironment:
        """Parse the variables. Raises ConfigurationError with the names of those that are missing or wrong."""
        missing = [name for name in _REQUIRED if not environ.get(name)]
        if missing:
            raise ConfigurationError(f"the {stage} stage needs these environment variables: {', '.join(missing)}")
        return cls(
            stage=stage,
            run_url=environ["EPYDROP_RUN_URL"],
            attempt=_number(environ, "EPYDROP_ATTEMPT", least=1),
            position=_number(environ, "BATCH_TASK_INDEX"),
            retry=_number(environ, "BATCH_TASK_RETRY_ATTEMPT") if environ.get("BATCH_TASK_RETRY_ATTEMPT") else 0,
            orders_sha256=environ["EPYDROP_ORDERS_SHA256"],
            keys=SigningKeys.parse(environ["EPYDROP_SIGNING_KEY"]),
            experiment_sha256=environ.get("EPYDROP_EXPERIMENT_SHA256", ""),
            dropped_md5=environ.get("EPYDROP_DROPPED_MD5", ""),
            cores=_number(environ, "EPYDROP_CORES", least=1) if environ.get("EPYDROP_CORES") else 0,
            max_silence=_number(environ, "EPYDROP_MAX_SILENCE") if environ.get("EPYDROP_MAX_SILENCE") else 0,
            github_pat=environ.get("GITHUB_PAT", ""),
        )


def _number(environ: Mapping[str, str], name: str, least: int = 0) -> int:
    text = environ[name]
    # isascii: int() and isdigit() also accept digits of other scripts.
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise ConfigurationError(f"{name} must be a whole number of at least {least}, got {text!r}")
    return int(text)


@dataclass(frozen=True)
class TaskContext:
    """One try of one task. ``index``: the task's index in the run."""

    environment: TaskEnvironment
    orders: Orders
    store: MeteredStore
    index: int

    @classmethod
    def open(cls, environment: TaskEnvironment, store: MeteredStore) -> TaskContext:
        """Read the attempt's orders.

        Raises ConfigurationError if there are none, or none for this task; IntegrityError if they were altered.
        """
        name = orders_name(environment.stage, environment.attempt)
        try:
            text = store.read(name)
        except NotFound as error:
            raise ConfigurationError(f"there are no orders {name} under {environment.run_url}") from error
        if hashlib.sha256(text).hexdigest() != environment.orders_sha256:
            raise IntegrityError(f"{name} was altered: these are not the orders that the job was made for")
        orders = from_json(Orders, text, name)
        if (orders.stage, orders.attempt) != (environment.stage, environment.attempt):
            raise ConfigurationError(f"{name} is for {orders.stage} attempt {orders.attempt}")
        try:
            return cls(environment, orders, store, orders.indices.nth(environment.position))
        except IndexError as error:
            raise ConfigurationError(
                f"BATCH_TASK_INDEX is {environment.position}; {name} has {len(orders.indices)}"
            ) from error

    @property
    def records(self) -> SignedRecords:
        """The signed records of the run."""
        return SignedRecords(self.store, self.orders.run_id, self.environment.keys)

    def manifest(self) -> Manifest:
        """What the builder made. Raises NotFound, IntegrityError."""
        return self.records.read(Manifest, manifest_name(self.orders.inputs))

    def experiment(self) -> Experiment:
        """The resolved experiment, with the output configuration of the orders. Raises BadInput, IntegrityError."""
        experiment = read_experiment(self.experiment_text(), RESOLVED_EXPERIMENT, self.orders.exp_id)
        return with_output_config(experiment, self.orders.output_config)

    def experiment_text(self) -> bytes:
        """The resolved experiment as it was accepted. Raises IntegrityError if it changed since."""
        text = self.store.read(RESOLVED_EXPERIMENT)
        if self.orders.stage is Stage.BUILDER:
            expected, whose = self.environment.experiment_sha256, "that was accepted"
        else:
            expected, whose = self.manifest().digests.get(RESOLVED_EXPERIMENT, "none"), "that the builder read"
        if expected and hashlib.sha256(text).hexdigest() != expected:
            raise IntegrityError(f"{RESOLVED_EXPERIMENT} was altered: it is not the one {whose}; drop the file again")
        return text

    def meta(self, stage: Stage, index: int) -> Meta:
        """The identity of an artifact of this run: inputs come from the builder, results from the runner."""
        kind = {Stage.BUILDER: "input", Stage.RUNNER: "result"}[stage]
        return Meta(kind, self.orders.run_id, stage, index)
