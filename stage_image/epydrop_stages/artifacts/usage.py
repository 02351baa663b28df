"""What a stage uses: bytes to and from the store, processor seconds, memory; its workers' counted in."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, replace


@dataclass
class Usage:
    """Bytes that were read and written, and the memory (MiB) that workers had beside what they share with the stage."""

    bytes_in: int = 0
    bytes_out: int = 0
    workers_mib: float = 0.0

    def take(self) -> Usage:
        """What has gathered; from here on it counts from nothing."""
        taken = replace(self)
        self.bytes_in, self.bytes_out, self.workers_mib = 0, 0, 0.0
        return taken

    @property
    def peak_memory_mib(self) -> float:
        """The largest resident size of this process so far, and what its workers added to it."""
        return own_peak_mib() + self.workers_mib


def cpu_seconds() -> float:
    """Processor time of this process and of its children that have ended."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in spent)


def own_peak_mib() -> float:
    """The largest resident size of this process so far; the kernel counts KiB on Linux and bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / (1 << 10)
