"""Long-running operations and locations: the services that Google's clients use beside BatchService."""

from __future__ import annotations

import time
from typing import Any

from google.cloud.location import locations_pb2
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2

from batch_emulator.api import views
from batch_emulator.api.paging import next_token, page_size, start_of
from batch_emulator.protocol.errors import Violation, invalid, not_found, unimplemented
from batch_emulator.protocol.resources import parse_location, parse_operation
from batch_emulator.state.ledger import Ledger, OperationRecord

_LONGEST_WAIT = 60.0  # seconds
_POLL_EVERY = 0.02


class Operations:
    """The calls of google.longrunning.Operations and google.cloud.location.Locations. Raises ApiError."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def get(self, request: Any) -> operations_pb2.Operation:
        """GetOperation."""
        return views.operation_view(self._operation(request.name))

    def page(self, request: Any) -> operations_pb2.ListOperationsResponse:
        """ListOperations, oldest first."""
        if request.filter:
            raise invalid(Violation("filter", "operations cannot be filtered here"))
        size = page_size(request)
        (after,) = start_of(request, str) or [""]
        found = self._ledger.operations(parse_location(request.name, "name"), after, size + 1)
        response = operations_pb2.ListOperationsResponse(operations=map(views.operation_view, found[:size]))
        if len(found) > size:
            response.next_page_token = next_token(request, [found[size - 1].name])
        return response

    def wait(self, request: Any) -> operations_pb2.Operation:
        """WaitOperation: returns the operation once it is done, or after the timeout, at most a minute."""
        asked = request.timeout.ToNanoseconds() / 1e9 if request.HasField("timeout") else _LONGEST_WAIT
        deadline = time.monotonic() + min(asked, _LONGEST_WAIT)
        # Polls the database, because the change may come from the worker's thread or another request.
        while (operation := self._operation(request.name)).ended is None and time.monotonic() < deadline:
            time.sleep(_POLL_EVERY)
        return views.operation_view(operation)

    def delete(self, request: Any) -> empty_pb2.Empty:
        """DeleteOperation: deletes the record; the work goes on."""
        self._ledger.delete_operation(self._operation(request.name).name)
        return empty_pb2.Empty()

    def cancel(self, request: Any) -> empty_pb2.Empty:
        """CancelOperation: always UNIMPLEMENTED."""
        self._operation(request.name)
        raise unimplemented("a cancellation or deletion cannot be cancelled")

    def list_locations(self, request: Any) -> locations_pb2.ListLocationsResponse:
        """ListLocations: the locations that have jobs. Jobs can be created in any other location too."""
        project = parse_location(f"{request.name}/locations/-", "name").project
        found = self._ledger.locations(project)
        return locations_pb2.ListLocationsResponse(locations=[_location(project, name) for name in found])

    def get_location(self, request: Any) -> locations_pb2.Location:
        """GetLocation."""
        place = parse_location(request.name, "name")
        return _location(place.project, place.location)

    def _operation(self, name: str) -> OperationRecord:
        operation = self._ledger.operation(parse_operation(name, "name"))
        if operation is None:
            raise not_found(name)
        return operation


def _location(project: str, location: str) -> locations_pb2.Location:
    return locations_pb2.Location(name=f"projects/{project}/locations/{location}", location_id=location)
