"""How the tasks of one machine are run: what its user chooses, and the environment that every task has."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# A task sees these variables of the machine and no others: nothing secret, and the same task on every machine.
_INHERITED = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|PYTHONPATH|VIRTUAL_ENV|SSL_CERT_\w+|REQUESTS_CA_BUNDLE"
    r"|(?i:https?_proxy|no_proxy|all_proxy)"
)
THREAD_COUNTS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_LONGEST_PAUSE = 10.0  # seconds; Batch allows ten retries, and doubling ten times would take minutes
# pandas imports pyarrow, whose allocator starts a thread when its library is loaded; a fork must have none.
_NO_BACKGROUND_THREAD = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}


def usable_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Options:
    """How tasks are run: ``cores`` is the number of tasks at a time, ``env`` holds variables for every task.

    Seconds: ``backoff`` before a second try, doubled with each further one up to ten; ``grace`` between SIGTERM
    and SIGKILL; ``sample_every`` between two looks at the tasks' memory.
    """

    cores: int = field(default_factory=usable_cores)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold secrets
    backoff: float = 0.5
    grace: float = 2.0
    sample_every: float = 0.2

    def pause_after(self, retry: int) -> float:
        """Seconds between the end of a try, counted from 0, and the start of the next."""
        return float(min(self.backoff * 2**retry, _LONGEST_PAUSE))


def base_environment() -> dict[str, str]:
    """The variables of every task: the few that a program needs on this machine, and those that fix its results.

    One thread for arithmetic, because sums in another order differ in the last bits; one seed for the hashes of
    strings, because sets are iterated in their order. So the same task gives the same bytes.
    """
    inherited: Mapping[str, str] = {name: value for name, value in os.environ.items() if _INHERITED.fullmatch(name)}
    return {**inherited, **dict.fromkeys(THREAD_COUNTS, "1"), **_NO_BACKGROUND_THREAD, "PYTHONHASHSEED": "0"}
