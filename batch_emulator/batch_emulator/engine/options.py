"""How the tasks of one machine are run: what the person who runs it chooses, and what every task has."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from batch_emulator.engine.faults import Trouble
from epydrop.formats.names import Stage, parse_job_id

_INHERITED = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|PYTHONPATH|VIRTUAL_ENV|SSL_CERT_\w+|REQUESTS_CA_BUNDLE"
    r"|(?i:https?_proxy|no_proxy|all_proxy)"
)
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_LONGEST_PAUSE = 10.0  # seconds; Batch allows ten retries
# pandas imports pyarrow, whose allocator starts a thread when its library is loaded; a fork must have none.
_NO_THREAD = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Options:
    """How tasks are run: cores in all, variables for each task and for builders alone, and seconds.

    ``backoff`` before a second try, doubled with each up to ten seconds; ``grace`` between SIGTERM and SIGKILL;
    ``sample_every`` for the memory.
    """

    cores: int = field(default_factory=usable_cores)
    env: Mapping[str, str] = field(default_factory=dict)
    builder_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    backoff: float = 0.5
    grace: float = 2.0
    sample_every: float = 0.2
    trouble: Trouble = field(default_factory=Trouble)

    def env_of(self, job_id: str) -> dict[str, str]:
        """The variables for each task of this job."""
        name = parse_job_id(job_id)
        own = self.builder_env if name is not None and name.stage is Stage.BUILDER else {}
        return {**self.env, **own}

    def pause_after(self, retry: int) -> float:
        """Seconds between the end of a try, counted from 0, and the begin of the next."""
        return float(min(self.backoff * 2**retry, _LONGEST_PAUSE))


def base_environment() -> dict[str, str]:
    """What every task has: the few variables that a program needs on this machine, and one thread for arithmetic.

    One thread, and one seed for the hashes of texts: the same experiment gives the same bytes.
    """
    inherited: Mapping[str, str] = {name: value for name, value in os.environ.items() if _INHERITED.fullmatch(name)}
    return {**inherited, **dict.fromkeys(_ONE_THREAD, "1"), **_NO_THREAD, "PYTHONHASHSEED": "0"}
