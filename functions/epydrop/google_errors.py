"""Translates errors of Google's libraries into ours, by what the caller does next.

Only status codes and exception classes are considered; the core decides what an error means for a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from google.api_core.exceptions import Aborted, FailedPrecondition, GoogleAPICallError, RetryError
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

from epydrop.errors import ConfigurationError, EpydropError, NotFound, PreconditionFailed, RetryableError

_MEANINGS: dict[int, type[EpydropError]] = {
    401: ConfigurationError,
    403: ConfigurationError,
    404: NotFound,
    408: RetryableError,
    409: PreconditionFailed,
    412: PreconditionFailed,
    429: RetryableError,
    499: RetryableError,  # the server cancelled the request
}


@contextmanager
def translated_errors(what: str) -> Iterator[None]:
    """Raises Google's errors as ours; ``what`` names the resource in the message.

    Missing: NotFound. Changed since it was read: PreconditionFailed. Not permitted: ConfigurationError. Transient:
    RetryableError. Other errors, such as a malformed request, are bugs and pass through unchanged.
    """
    try:
        yield
    except (GoogleAPICallError, GoogleAuthError, RetryError, TimeoutError, requests.RequestException) as error:
        translated = _translated(error)
        if translated is None:
            raise
        raise translated(f"{what}: {error}") from error
    except Exception as error:
        # The upload and download part of the storage library has exception classes of its own, with the response.
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is None:
            raise
        # A wrong checksum is reported with the response of the successful download.
        translated = RetryableError if status < 400 else _of_status(status)
        if translated is None:
            raise
        raise translated(f"{what}: {error}") from error


def _translated(error: Exception) -> type[EpydropError] | None:
    match error:
        case FailedPrecondition() | Aborted():  # gRPC's codes for a failed precondition and for a lost race
            return PreconditionFailed
        case GoogleAPICallError():
            return _of_status(int(error.code or 500))
        case DefaultCredentialsError():
            return ConfigurationError
        case _:
            return RetryableError


def _of_status(status: int) -> type[EpydropError] | None:
    return RetryableError if status >= 500 else _MEANINGS.get(status)
