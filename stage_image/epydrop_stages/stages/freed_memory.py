"""What the C library does with memory that was freed."""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD = -3  # malloc.h of glibc
_THRESHOLD = 256 << 10  # bytes


def return_freed_memory() -> None:
    """From here on, in this process and its forks, large blocks go back to the system when they are freed.

    By itself glibc raises the size that counts as large up to 32 MiB (mallopt(3)); the arrays and Arrow buffers below
    that leave holes in the heap, a tenth of the output stage's memory. Other C libraries have no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD)
