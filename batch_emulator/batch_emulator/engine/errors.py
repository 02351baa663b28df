"""What the engine raises on purpose; a program built on it translates these into errors of its own."""

from __future__ import annotations


class EngineError(Exception):
    """Every error that the engine raises on purpose."""


class UnavailableError(EngineError):
    """Something is busy or short of resources: the same call may succeed later."""


class SetupError(EngineError):
    """A folder, file, port or module cannot be used. Permanent until somebody changes it."""


class InvalidInputError(EngineError):
    """A job or an option is not valid. Permanent."""
