"""Reading the tasks of a job: the other calls of BatchService."""

from __future__ import annotations

from typing import Any

from batch_emulator.api import views
from batch_emulator.api.errors import not_found
from batch_emulator.api.filters import read_filter
from batch_emulator.api.paging import next_token, page_size, start_of
from batch_emulator.api.resources import TASK_GROUP, parse_task, parse_task_group
from batch_emulator.messages import ListTasksResponse
from batch_emulator.rules.states import TASK_STATES
from batch_emulator.state.ledger import Event, JobRecord, Ledger

_FIELDS = {"state": str, "status.state": str}


class Tasks:
    """The calls, each a request message in and a response message out. Raises ApiError."""

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
        """ListTasks, in the order of their indices."""
        job, group = parse_task_group(request.parent, "parent")
        record = self._ledger.job(job)
        if record is None or group != TASK_GROUP:
            raise not_found(request.parent)
        matches = read_filter(request.filter, _FIELDS)
        states = [ours for ours, name in TASK_STATES.items() if matches({"state": name, "status.state": name})]
        (first,) = start_of(request, int) or [0]
        size = page_size(request)
        rows = self._ledger.tasks(record.uid, states, first, size + 1)
        response = ListTasksResponse(tasks=self._views(record, rows[:size]))
        if len(rows) > size:
            next_position, _ = rows[size]
            response.next_page_token = next_token(request, [next_position])
        return response

    def _views(self, record: JobRecord, rows: list[tuple[int, str]]) -> list[Any]:
        """Tasks of one page, with all their events read at once."""
        if not rows:
            return []
        events: dict[int, list[Event]] = {position: [] for position, _ in rows}
        for event in self._ledger.task_events(record.uid, rows[0][0], rows[-1][0]):
            if event.position in events:
                events[event.position].append(event)
        return [views.task_view(record, position, state, events[position]) for position, state in rows]
