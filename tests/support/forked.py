"""Something done in a process of its own that has imported all that this one has, for what ends its process."""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable


def exit_code_of(action: Callable[[], object]) -> int:
    """The exit code of a fork of this process that does this; 0 if it returns."""
    process = multiprocessing.get_context("fork").Process(target=action)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads; pytest's own hold no lock for long
        process.start()
    process.join()
    code = process.exitcode or 0
    process.close()
    return code
