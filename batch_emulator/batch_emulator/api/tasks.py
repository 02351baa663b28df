"""GetTask and ListTasks of BatchService."""

from __future__ import annotations

from typing import Any

from batch_emulator.api import views
from batch_emulator.api.filters import read_filter
from batch_emulator.api.paging import next_token, page_size, start_of
from batch_emulator.protocol.errors import not_found
from batch_emulator.protocol.messages import ListTasksResponse
from batch_emulator.protocol.resources import TASK_GROUP, parse_task, parse_task_group
from batch_emulator.protocol.task_states import TASK_STATES
from batch_emulator.state.ledger import Event, JobRecord, Ledger

_FIELDS = {"state": str, "status.state": str}


class Tasks:
    """The calls: each takes a request message and returns a response message. They raise ApiError."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def get(self, request: Any) -> Any:
        """GetTask."""
        name = parse_task(request.name, "name")
        record, position = self._ledger.job(name.job), name.position
        if record is not None and position is not None:
            for task in self._views(record, self._ledger.tasks(record.uid, list(TASK_STATES), position, 1)):
                if task.name == str(name):
                    return task
        raise not_found(request.name)

    def page(self, request: Any) -> Any:
        """ListTasks, ordered by index."""
        job, group = parse_task_group(request.parent, "parent")
        record = self._ledger.job(job)
        if record is None or group != TASK_GROUP:
            raise not_found(request.parent)
        matches = read_filter(request.filter, _FIELDS)
        states = [state for state, name in TASK_STATES.items() if matches({"state": name, "status.state": name})]
        (first,) = start_of(request, int) or [0]
        size = page_size(request)
        rows = self._ledger.tasks(record.uid, states, first, size + 1)  # one more, to know whether a page follows
        response = ListTasksResponse(tasks=self._views(record, rows[:size]))
        if len(rows) > size:
            next_position, _ = rows[size]
            response.next_page_token = next_token(request, [next_position])
        return response

    def _views(self, record: JobRecord, rows: list[tuple[int, str]]) -> list[Any]:
        """The tasks of one page; reads all their events in one query."""
        if not rows:
            return []
        events: dict[int, list[Event]] = {position: [] for position, _ in rows}
        for event in self._ledger.task_events(record.uid, rows[0][0], rows[-1][0]):
            if event.position in events:
                events[event.position].append(event)
        return [views.task_view(record, position, state, events[position]) for position, state in rows]
