"""The errors of the emulator's engine as epydrop's own, which have exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from batch_emulator.engine.errors import InvalidInputError, SetupError, UnavailableError
from epydrop.errors import BadInput, ConfigurationError, RetryableError


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raises BadInput, ConfigurationError or RetryableError for what the engine raises inside the block."""
    try:
        yield
    except InvalidInputError as error:
        raise BadInput(str(error)) from error
    except SetupError as error:
        raise ConfigurationError(str(error)) from error
    except UnavailableError as error:
        raise RetryableError(str(error)) from error
