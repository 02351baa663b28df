"""The API's errors: Google's codes, and their HTTP statuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from google.rpc import code_pb2, error_details_pb2, status_pb2

# The mapping documented in google/rpc/code.proto.
_HTTP = {
    code_pb2.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    code_pb2.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    code_pb2.NOT_FOUND: HTTPStatus.NOT_FOUND,
    code_pb2.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    code_pb2.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    code_pb2.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    code_pb2.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


@dataclass(frozen=True)
class Violation:
    """A wrong field of a request: its path in the request message, and what is expected."""

    field: str
    description: str

    def __str__(self) -> str:
        return f"{self.field}: {self.description}"


class ApiError(Exception):
    """A call that failed with one of google.rpc.Code; ``violations`` are for INVALID_ARGUMENT."""

    def __init__(self, code: int, message: str, violations: Sequence[Violation] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.violations = tuple(violations)

    @property
    def http_status(self) -> int:
        """The status of the same error over HTTP."""
        return _HTTP.get(self.code, HTTPStatus.INTERNAL_SERVER_ERROR)

    @property
    def status(self) -> status_pb2.Status:
        """The error as Google's clients read it, with one BadRequest detail that lists the fields."""
        status = status_pb2.Status(code=self.code, message=str(self))
        if self.violations:
            detail = error_details_pb2.BadRequest()
            for violation in self.violations:
                detail.field_violations.add(field=violation.field, description=violation.description)
            status.details.add().Pack(detail)
        return status


def invalid(*violations: Violation) -> ApiError:
    """INVALID_ARGUMENT with all violations at once."""
    return ApiError(code_pb2.INVALID_ARGUMENT, "; ".join(map(str, violations)), violations)


def not_found(name: str) -> ApiError:
    """NOT_FOUND, with the resource's name."""
    return ApiError(code_pb2.NOT_FOUND, f"Resource '{name}' was not found")


def already_exists(name: str) -> ApiError:
    """ALREADY_EXISTS, with the resource's name."""
    return ApiError(code_pb2.ALREADY_EXISTS, f"Resource '{name}' already exists")


def failed_precondition(message: str) -> ApiError:
    """FAILED_PRECONDITION: the state of the resource does not allow the call."""
    return ApiError(code_pb2.FAILED_PRECONDITION, message)


def unimplemented(message: str) -> ApiError:
    """UNIMPLEMENTED: the emulator does not do this."""
    return ApiError(code_pb2.UNIMPLEMENTED, message)


def unavailable(message: str) -> ApiError:
    """UNAVAILABLE: the emulator cannot run tasks any more."""
    return ApiError(code_pb2.UNAVAILABLE, message)
