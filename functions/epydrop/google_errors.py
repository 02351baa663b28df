"""Google's errors in our own words, sorted by what the caller does next.

Knows status codes and exception classes; what they mean for a run is decided elsewhere.
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
    499: RetryableError,  # cancelled by the other side
}


@contextmanager
def told(what: str) -> Iterator[None]:
    """Google's errors about this thing as ours; what has no meaning for a caller stays as it is.

    Absent: NotFound. Changed meanwhile: PreconditionFailed. Not allowed: ConfigurationError. Anything that may pass: RetryableError.
    """
    try:
        yield
    except (GoogleAPICallError, GoogleAuthError, RetryError, TimeoutError, requests.RequestException) as error:
        meaning = _meaning(error)
        if meaning is None:
            raise
        raise meaning(f"{what}: {error}") from error
    except Exception as error:
        # The media half of the storage library raises classes of its own, which carry the response.
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is None:
            raise
        # A corrupt transfer comes with a response that says 200.
        meaning = RetryableError if status < 400 else _of_status(status)
        if meaning is None:
            raise
        raise meaning(f"{what}: {error}") from error


def _meaning(error: Exception) -> type[EpydropError] | None:
    match error:
        case FailedPrecondition() | Aborted():  # gRPC's words for a precondition that failed, and for a lost race
            return PreconditionFailed
        case GoogleAPICallError():
            return _of_status(int(error.code or 500))
        case DefaultCredentialsError():
            return ConfigurationError
        case _:
            return RetryableError


def _of_status(status: int) -> type[EpydropError] | None:
    return RetryableError if status >= 500 else _MEANINGS.get(status)
