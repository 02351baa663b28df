"""What the engine raises on purpose; a program built on it translates these into errors of its own."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class EngineError(Exception):
    """Every error that the engine raises on purpose."""


class UnavailableError(EngineError):
    """Something is busy or short of resources: the same call may succeed later."""


class SetupError(EngineError):
    """A folder, file, port or module cannot be used. Permanent until somebody changes it."""


class InvalidInputError(EngineError):
    """A job or an option is not valid. Permanent."""


@contextmanager
def full_disk_as_unavailable() -> Iterator[None]:
    """Raises UnavailableError where the block finds the disk full or a quota exceeded."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UnavailableError(str(error)) from error
