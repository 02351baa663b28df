"""How the stages of the local cloud are run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from batch_emulator.engine.faults import TaskFaults
from batch_emulator.engine.options import Options
from epydrop.formats.names import Stage, parse_job_id


@dataclass(frozen=True)
class LocalOptions(Options):
    """The engine's options; ``builder_env`` holds variables for the builder stage alone, ``faults`` is for tests."""

    builder_env: Mapping[str, str] = field(default_factory=dict, repr=False)  # a secret: never in a log
    faults: TaskFaults = field(default_factory=TaskFaults)

    def stage_env(self, job_id: str) -> dict[str, str]:
        """The variables that depend on the job's stage."""
        name = parse_job_id(job_id)
        return dict(self.builder_env) if name is not None and name.stage is Stage.BUILDER else {}
