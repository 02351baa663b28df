"""How the C library returns freed memory to the system."""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD = -3  # from glibc's malloc.h
_THRESHOLD = 256 << 10  # bytes


def return_freed_memory() -> None:
    """Make glibc return freed blocks of at least 256 KiB to the system, in this process and its forks.

    By default glibc raises this threshold up to 32 MiB (mallopt(3)), and freed arrays and Arrow buffers below it leave
    holes in the heap: about a tenth of the output stage's memory. Does nothing with other C libraries.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD)
