"""Resources that a stage uses, its workers included: bytes read and written, processor time, memory."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, replace


@dataclass
class Usage:
    """Bytes read and written, and the memory in MiB that workers used beyond what they share with the stage."""

    bytes_in: int = 0
    bytes_out: int = 0
    workers_mib: float = 0.0

    def take(self) -> Usage:
        """Return the counts so far and reset them to zero."""
        taken = replace(self)
        self.bytes_in, self.bytes_out, self.workers_mib = 0, 0, 0.0
        return taken

    @property
    def peak_memory_mib(self) -> float:
        """Peak resident memory of this process in MiB, plus that of its workers."""
        return own_peak_mib() + self.workers_mib


def cpu_seconds() -> float:
    """User and system time of this process and of its children that have ended."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in spent)


def own_peak_mib() -> float:
    """Peak resident memory of this process in MiB; getrusage(2) counts KiB on Linux and bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / (1 << 10)
